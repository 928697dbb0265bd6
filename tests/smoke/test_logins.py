"""`COMPOSE_PROFILES=paper,second`: two logins as docs/logins.md has them with Docker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.smoke.engine import run, until
from tests.smoke.needs import NEEDS
from tests.smoke.paper import OUTSIDE, Paper, copy_checkout, prepare, running
from tests.smoke.promises import prove
from tests.smoke.stack import LIVE, STRATEGY, LedgerInside

pytestmark = pytest.mark.timeout(900)
PROJECT = "rebalancer-logins"
MAIN, SECOND = "ib-gateway-paper", "ib-gateway-second"
LOGINS = {MAIN: ("DU1000002", "DU1000003", "DU1000004"), SECOND: ("DU1000005", "DU1000006", "DU1000007")}
"""Accounts with margin: one without would wait for the day on which its sales settle."""
ALL = (*LOGINS[MAIN], *LOGINS[SECOND])
IMPATIENT = "RETRY_DELAY_S=2\n"
IN_FILE = {"second": {"host": SECOND, "port": 4004, "trading_mode": "paper", "log": "/gateway-log/second.log"}}
NEWEST = "SELECT DISTINCT ON (account_id) account_id, state FROM events ORDER BY account_id, created_at DESC"


class Household(Paper):
    """The books of both gateways are the broker's."""

    def books(self) -> dict[str, Any]:
        """What both gateways have."""
        return {"orders": [order for login in LOGINS for order in self.gateway(login)["orders"]]}

    def move(self, price: str) -> None:
        """The market, at both."""
        for login in LOGINS:
            self.steer("prices", {"EDC": price}, login)


@pytest.fixture(scope="module")
def household(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    """It runs and is healthy."""
    folder = tmp_path_factory.mktemp("household")
    copy_checkout(folder)
    prepare(folder, IMPATIENT)
    _second_login(folder)
    with running(Household, PROJECT, folder) as made:
        yield made


def _second_login(folder: Path) -> None:
    """What docs/logins.md has one write; each stand-in is told which accounts its login manages."""
    run("sed", "-i", "s/^COMPOSE_PROFILES=.*/COMPOSE_PROFILES=paper,second/", str(folder / ".env"))
    entry = {"type": "paper", "strategy_name": STRATEGY}
    accounts = [{"account_id": one, **entry} for one in LOGINS[MAIN]]
    accounts += [{"account_id": one, **entry, "gateway": "second"} for one in LOGINS[SECOND]]
    (folder / "config/accounts.yaml").write_text(yaml.safe_dump({"gateways": IN_FILE, "accounts": accounts}))
    override = yaml.safe_load(OUTSIDE)
    override["services"] |= {name: {"environment": {"ACCOUNTS": ",".join(ids)}} for name, ids in LOGINS.items()}
    (folder / "docker-compose.override.yaml").write_text(yaml.safe_dump(override))


@pytest.fixture(scope="module")
def ledger(household: Household) -> LedgerInside:
    """One for both."""
    return LedgerInside(household)


@pytest.fixture
def settled(household: Household, ledger: LedgerInside) -> Callable[[], None]:
    """Wait until every signal is served; then nothing was lost and nothing came twice, at either gateway."""

    def wait() -> None:
        until(ledger.settled, 180, ledger.described)
        prove(ledger, household.books(), ALL)

    return wait


def test_a_second_login_adds_its_gateway_and_its_workers(household: Household) -> None:
    absent = {"ib-gateway-live", "console", "setup", "restore"}
    assert household.belongings() == {name: need for name, need in NEEDS.items() if name not in absent}
    told = household.told_by_doctor()
    assert "FAIL" not in told
    for name, login in (("main", MAIN), ("second", SECOND)):
        host = "ib-gateway" if login == MAIN else login
        assert f"gateway login of {name}: {host}:4004 manages {', '.join(LOGINS[login])}" in told


def test_a_signal_trades_each_account_at_the_gateway_of_its_login(
    household: Household, settled: Callable[[], None]
) -> None:
    household.publish(LIVE)
    settled()
    for login, accounts in LOGINS.items():
        assert {order["account"] for order in household.gateway(login)["orders"]} <= set(accounts)
        assert household.gateway(login)["orders"]


def test_a_gateway_that_is_killed_amid_orders_holds_up_its_own_accounts_alone(
    household: Household, ledger: LedgerInside, settled: Callable[[], None]
) -> None:
    household.move("51.10")
    household.steer("faults", {"fills": {"*": {"mode": "delayed", "delay_ms": 20_000}}}, SECOND)
    household.publish(LIVE)
    until(ledger.trading, 60, ledger.described)
    household.compose("kill", SECOND)
    until(lambda: _states(ledger, MAIN) == {"succeeded"}, 60, lambda: ledger.rows(NEWEST))
    until(lambda: "FAIL gateway of second" in household.readiness(), 120, household.readiness)
    assert "FAIL gateway of main" not in household.readiness()
    assert _states(ledger, SECOND) != {"succeeded"}
    household.compose("up", "--detach")
    settled()
    until(lambda: not household.unhealthy(), 240, household.unhealthy)


def _states(ledger: LedgerInside, login: str) -> set[str]:
    """Of the newest event of each of its accounts."""
    return {state for account, state in ledger.rows(NEWEST) if account in LOGINS[login]}


def test_the_second_login_that_waits_for_its_second_factor_is_told_by_its_name(
    household: Household, settled: Callable[[], None]
) -> None:
    """Beat reads it from the container's output, by ``log`` of the gateway in the accounts file."""
    household.steer("restart", {"refuse_s": 0, "second_factor": True}, SECOND)
    until(lambda: "waits for the second factor" in _line(household, "gateway of second"), 90, household.readiness)
    assert "second factor" not in _line(household, "gateway of main")
    household.steer("login", {"answer": "approve"}, SECOND)
    until(lambda: "second factor" not in household.readiness(), 90, household.readiness)
    household.move("48.30")
    household.publish(LIVE)
    settled()


def _line(household: Household, check: str) -> str:
    return next(line for line in household.readiness().splitlines() if f"{check}:" in line)


def test_down_and_up_again_loses_nothing(
    household: Household, ledger: LedgerInside, settled: Callable[[], None]
) -> None:
    """Both logins' containers go with one command, and come with one."""
    orders, events, books = ledger.orders(), ledger.rows("SELECT id, state FROM events ORDER BY id"), household.books()
    household.compose("down")
    assert household.compose("ps", "-q", "--all") == ""
    household.compose("up", "--detach")
    until(lambda: not household.unhealthy(), 240, household.unhealthy)
    assert orders == ledger.orders() != {}
    assert events == ledger.rows("SELECT id, state FROM events ORDER BY id")
    assert books == household.books()
    household.move("49.90")
    household.publish(LIVE)
    settled()
