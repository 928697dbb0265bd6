"""From a table that somebody edits to every account at its targets: once, whoever dies meanwhile."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from rebalancer.domain.commands import Command
from rebalancer.health.doctor import _table
from rebalancer.ledger import sources
from rebalancer.ledger.models import Event, NoticeRow, Signal
from rebalancer.services import Services
from tests.world import World, held, kill, until

BY_FILE = ("DU1000001", "DU1000002", "DU1000004")
BY_URL = ("DU1000005", "DU1000006", "DU1000007")
BEFORE, AFTER = "Ticker,Weight\nQQQ,60%\nBTAL,40%\n", "Ticker,Weight\nQQQ,45%\nBTAL,55%\n"
ACCOUNT = "  - {{account_id: {}, type: paper, strategy_name: {}}}\n"


def replace_file(path: Path, text: str, *, written: float = 60) -> None:
    """As editors and deployments do: another file takes the name."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    at = time.time() - written
    os.utime(new, (at, at))
    new.replace(path)


@pytest.fixture
def followed(here: World) -> World:
    """Three accounts follow a file, three a published table, and nobody a provider."""
    (here.folder / "accounts.yaml").write_text(
        "accounts:\n"
        + "".join(ACCOUNT.format(account, "by-file") for account in BY_FILE)
        + "".join(ACCOUNT.format(account, "by-url") for account in BY_URL)
        + "sources:\n"
        + "  by-file: {file: targets.csv}\n"
        + f"  by-url: {{url: '{here.allocations.publish_document('sheet', BEFORE)}', every_minutes: 0.02}}\n"
    )
    replace_file(here.folder / "targets.csv", BEFORE)
    del here.environment["ALLOCATIONS_API_KEY"]
    return here


def versions(world: World) -> dict[str, int]:
    with world.ledger.begin() as session:
        return {name: view.version for name, view in sources.everything(session).items()}


def signals(world: World) -> int:
    with world.ledger.begin() as session:
        return session.scalar(select(func.count()).select_from(Signal)) or 0


def ended(world: World) -> dict[str, list[str]]:
    """States of the rebalances by account."""
    chosen = select(Event.account_id, Event.state).where(Event.command == Command.REBALANCE)
    with world.ledger.begin() as session:
        rows = session.execute(chosen).all()
    return {account: [state for one, state in rows if one == account] for account, _ in rows}


def all_done(world: World, *accounts: str) -> None:
    wanted = {account: ["succeeded"] for account in accounts}
    until(lambda: ended(world) == wanted, 120, lambda: f"{ended(world)}\n{world.logs()[-6000:]}")


def test_a_change_of_file_and_of_url_brings_every_account_to_its_targets_once(followed: World) -> None:
    followed.start_worker(WORKER_CONCURRENCY="2")
    followed.start_beat()
    until(lambda: versions(followed) == {"by-file": 1, "by-url": 1}, 60, followed.logs)
    assert signals(followed) == 0

    preview = followed.finish(followed.submit("DU1000001", Command.PRINT_REBALANCE)).result
    assert preview is not None
    assert {order["symbol"] for order in preview["orders"]} == {"QQQ", "BTAL"}

    replace_file(followed.folder / "targets.csv", AFTER, written=2)
    followed.allocations.publish_document("sheet", AFTER)
    until(lambda: versions(followed) == {"by-file": 2, "by-url": 2}, 30, followed.logs)
    all_done(followed, *BY_FILE, *BY_URL)
    assert signals(followed) == 3
    for account in (*BY_FILE, *BY_URL):
        whole = {symbol for symbol, quantity in held(followed, account).items() if quantity >= 1}
        assert whole == {"QQQ", "BTAL"}
        last = followed.finish(followed.submit(account, Command.PRINT_REBALANCE)).result
        assert last is not None
        assert last["orders"] == []


def test_a_fetching_process_that_is_killed_leaves_the_change_to_the_next(followed: World) -> None:
    beat = followed.start_beat()
    until(lambda: versions(followed).get("by-url") == 1, 60, followed.logs)
    followed.allocations.publish_document("sheet", AFTER, delay_s=20)
    asked = followed.allocations.asked("sheet")
    until(lambda: followed.allocations.asked("sheet") > asked)
    kill(beat)
    assert signals(followed) == 0

    followed.allocations.publish_document("sheet", AFTER)
    followed.start_beat()
    followed.start_beat()
    until(lambda: versions(followed)["by-url"] == 2, 60, followed.logs)
    asked = followed.allocations.asked("sheet")
    until(lambda: followed.allocations.asked("sheet") > asked + 3)
    followed.start_worker(WORKER_CONCURRENCY="2")
    all_done(followed, *BY_URL)
    assert signals(followed) == 1


def test_a_table_that_shrinks_to_nothing_is_told_and_nobody_sells(followed: World) -> None:
    followed.start_beat()
    until(lambda: len(versions(followed)) == 2, 60, followed.logs)
    replace_file(followed.folder / "targets.csv", "Ticker,Weight\n", written=2)

    def told() -> list[str]:
        with followed.ledger.begin() as session:
            return [*session.scalars(select(NoticeRow.kind))]

    until(lambda: "source-refused" in told(), 30, followed.logs)
    assert signals(followed) == 0
    services = Services.of(followed.settings)
    check = _table(services.settings.signals, services.accounts().sources["by-file"])
    assert (check.ok, "allocations_empty" in check.detail) == (False, True)
