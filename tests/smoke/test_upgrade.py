"""An installation of an older release becomes today's, and goes back, as docs/deployment.md and docs/backup.md say."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.smoke.engine import ROOT, archive, until
from tests.smoke.paper import CHECKOUT, Paper, copy_checkout, prepare, running
from tests.smoke.promises import prove
from tests.smoke.releases import BEFORE_LOGINS, product_before_logins
from tests.smoke.stack import LIVE, STRATEGY, LedgerInside

pytestmark = pytest.mark.timeout(900)
PROJECT = "rebalancer-upgrade"
ACCOUNTS = ("DU1000002", "DU1000005", "DU1000006", "DU1000007")
HALTED = "DU1000007"
OLD_SCHEMA = "0017"
NEWEST = max(file.name for file in (ROOT / "alembic/versions").glob("0*.py")).partition("_")[0]
RECORDS = ("signals", "signal_events", "events", "attempts", "orders", "order_reports", "fills", "account_snapshots")
"""What nobody deletes within a day."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the older release, with the owner's files."""
    made = tmp_path_factory.mktemp("upgrade")
    _check_out_old(made)
    prepare(made, "RETRY_DELAY_S=2\n")
    accounts = [{"account_id": one, "type": "paper", "strategy_name": STRATEGY} for one in ACCOUNTS]
    (made / "config/accounts.yaml").write_text(yaml.safe_dump({"accounts": accounts}))
    return made


def _check_out_old(folder: Path) -> None:
    subprocess.run(("tar", "-x", "-C", str(folder)), input=archive(BEFORE_LOGINS, CHECKOUT), check=True)


@pytest.fixture(scope="module")
def old_image() -> str:
    """Of the older release."""
    return product_before_logins()


@pytest.fixture(scope="module")
def paper(folder: Path, old_image: str) -> Iterator[Paper]:
    """The older release runs."""
    with running(Paper, PROJECT, folder, {"REBALANCER_IMAGE": old_image}) as made:
        yield made


@pytest.fixture(scope="module")
def ledger(paper: Paper) -> LedgerInside:
    """The same one all the time."""
    return LedgerInside(paper)


@pytest.fixture
def settled(paper: Paper, ledger: LedgerInside) -> Callable[[], None]:
    """Wait until every signal is served, each once."""

    def wait() -> None:
        until(ledger.settled, 180, ledger.described)
        prove(ledger, paper.gateway(), ACCOUNTS)

    return wait


def _schema(ledger: LedgerInside) -> str:
    ((found,),) = ledger.rows("SELECT version_num FROM alembic_version")
    return str(found)


def _on_record(ledger: LedgerInside) -> dict[str, int]:
    counted = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in RECORDS)
    return dict(ledger.rows(f"SELECT one.* FROM ({counted}) AS one (name, number)"))


def test_the_older_release_trades(ledger: LedgerInside, paper: Paper, settled: Callable[[], None]) -> None:
    paper.publish(LIVE)
    settled()
    assert _schema(ledger) == OLD_SCHEMA
    assert ledger.orders()


def test_an_upgrade_with_events_that_wait_and_a_halt_loses_nothing(
    paper: Paper, ledger: LedgerInside, folder: Path, settled: Callable[[], None]
) -> None:
    """A signal comes while no worker runs; what was halted stays so until it is resumed."""
    paper.console("rebalancer", "halt", HALTED, "--reason", "before the upgrade")
    paper.console("rebalancer", "schedule", "add", HALTED, "weekly")
    paper.compose("stop", "worker")
    paper.set_price("EDC", "51.10")
    paper.publish(LIVE)
    until(lambda: ledger.heard() == paper.published, 60, ledger.described)
    before, orders = _on_record(ledger), ledger.orders()

    copy_checkout(folder)
    del paper.environment["REBALANCER_IMAGE"]
    paper.compose("up", "--detach")
    until(lambda: not paper.unhealthy(), 240, paper.unhealthy)

    assert _schema(ledger) == NEWEST
    until(lambda: _waiting(ledger) == [(HALTED, "held")], 120, lambda: _waiting(ledger))
    assert "before the upgrade" in paper.console("rebalancer", "halts")
    assert HALTED in paper.console("rebalancer", "schedule", "list")
    assert "FAIL" not in paper.told_by_doctor()
    paper.console("rebalancer", "resume", HALTED)
    settled()
    assert orders.items() <= ledger.orders().items()
    after = _on_record(ledger)
    assert {name: number for name, number in before.items() if after[name] < number} == {}
    assert after["orders"] > before["orders"]


def _waiting(ledger: LedgerInside) -> list[tuple[str, str]]:
    found = ledger.rows("SELECT account_id, state FROM events WHERE state <> 'succeeded' ORDER BY 1")
    return [(str(account), str(state)) for account, state in found]


def test_the_way_back_loses_nothing(
    paper: Paper, ledger: LedgerInside, folder: Path, old_image: str, settled: Callable[[], None]
) -> None:
    before, orders = _on_record(ledger), ledger.orders()
    paper.compose("stop")
    paper.compose("run", "--rm", "-T", "migrate", "alembic", "downgrade", OLD_SCHEMA)
    _check_out_old(folder)
    paper.environment["REBALANCER_IMAGE"] = old_image
    paper.compose("up", "--detach")
    until(lambda: not paper.unhealthy(), 240, paper.unhealthy)
    assert (_schema(ledger), _on_record(ledger), ledger.orders()) == (OLD_SCHEMA, before, orders)
    paper.set_price("EDC", "48.30")
    paper.publish(LIVE)
    settled()
