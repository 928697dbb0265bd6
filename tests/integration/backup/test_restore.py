"""The whole stack is lost, Redis included; a backup of the ledger brings it back, and nothing is traded twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update
from typer.testing import CliRunner

from rebalancer.cli.main import app
from rebalancer.domain.commands import Command
from rebalancer.domain.outcomes import FOREVER
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import events, halts, ownership, signal_intake
from rebalancer.ledger.models import ApprovalRow, Event, FillRow, Order
from rebalancer.ledger.queries import invariants
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.operations import halts_and_approvals
from rebalancer.risk import Blocked
from rebalancer.runner.servers import RunningServer, running_postgres, running_redis
from rebalancer.services import Services
from tests.backup_keys import IN_ENVIRONMENT
from tests.ledger_rows import STRATEGY, add_traded
from tests.tools.clusters import migrate
from tests.world import World, kill, until, world

TRADED, CONTINUED, QUEUED, RETRYING, WAITING, RUNNING, LOST = (f"DU100000{number}" for number in range(1, 8))
ACTIVE = (CONTINUED, QUEUED, RETRYING, WAITING, RUNNING)
CHANGED = {"halts", "events", "approvals", "attempts"}
"""Tables that a restore adds to; all others come back to the byte."""


@contextmanager
def servers(folder: Path) -> Iterator[tuple[RunningServer, RunningServer]]:
    """An empty PostgreSQL and an empty Redis."""
    with running_postgres(folder / "postgres") as postgres, running_redis(folder / "redis") as redis:
        yield postgres, redis


def record(ledger: Ledger, account: str, command: Command = Command.REBALANCE) -> UUID:
    """An event that nobody has published."""
    with ledger.begin() as session:
        signal = NewSignal(STRATEGY, uuid4().hex, command, {"exec": command})
        return signal_intake.record(session, signal, [Addressee(account, STRATEGY)]).served[0].event_id


def active_events(ledger: Ledger) -> dict[str, UUID]:
    """One event in each state that an active one can be in, by account; and one that is queued and only looks."""
    made = {account: record(ledger, account) for account in ACTIVE}
    for account, worker in ((RETRYING, "w/1/1.00"), (WAITING, "w/1/1.00"), (RUNNING, "gone/1/1.00")):
        claim = ownership.claim(ledger, made[account], worker, timedelta(minutes=10))
        assert claim is not None
        with ledger.begin() as session:
            if account == RETRYING:
                events.fail(session, claim, "GatewayUnavailable: away", timedelta(hours=1))
            if account == WAITING:
                events.hold(session, claim, Blocked(Rule.APPROVAL, "needs approval: large", FOREVER))
                asked = {"plan": {}, "orders": {}, "reasons": ["large"], "expires_at": FOREVER}
                session.add(
                    ApprovalRow(event_id=claim.event_id, attempt=1, account_id=account, state="approved", **asked)
                )
    return made | {"report": record(ledger, QUEUED, Command.PRINT_EQUITY)}


def sums(ledger: Ledger) -> dict[str, tuple[int, str]]:
    """Number of rows and a checksum, by table."""
    with ledger.begin() as session:
        session.execute(text("SET LOCAL timezone = 'UTC'"))
        tables = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        rows = "SELECT count(*), coalesce(md5(string_agg(r::text, E'\\n' ORDER BY r::text)), '') FROM {} AS r"
        return {table: tuple(session.execute(text(rows.format(table))).one()) for table in tables}


def refs(here: World, account: str) -> list[str]:
    """Order refs of the account that ever reached the gateway."""
    return here.gateway.do(lambda seen: [one.ticket.order_ref for one in seen.orders if one.account == account])


def command(url: str, *arguments: str) -> str:
    """What a command of the program says; it has to succeed."""
    done = CliRunner().invoke(app, arguments, env={"ENV_FILE": os.devnull, "DATABASE_URL": url, **IN_ENVIRONMENT})
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


@pytest.fixture
def first(tmp_path: Path) -> Iterator[World]:
    """The stack that will be lost."""
    (folder := tmp_path / "first").mkdir()
    with servers(folder) as (postgres, redis):
        migrate(postgres.url)
        ledger = Ledger(postgres.url)
        with world(folder, ledger, redis.url) as made:
            once_a_day(made)
            yield made
        ledger.close()


@pytest.fixture
def second(tmp_path: Path, first: World) -> Iterator[World]:
    """Another machine: empty PostgreSQL without a table, empty Redis; broker and provider are the same."""
    (folder := tmp_path / "second").mkdir()
    with servers(folder) as (postgres, redis):
        ledger = Ledger(postgres.url)
        made = World(folder, ledger, redis.url, first.gateway, first.allocations)
        once_a_day(made)
        yield made
        made.end()
        ledger.close()


def once_a_day(here: World) -> None:
    """No account may trade twice on a day."""
    file = Path(here.environment["ACCOUNTS_FILE"])
    protected = "    strategy_name: etf-blend-301-20\n    pdt_protection_enabled: true\n"
    file.write_text(file.read_text().replace("    strategy_name: etf-blend-301-20\n", protected))


def work(here: World, event_ids: list[UUID]) -> None:
    """Have a worker run these events and no others, then end it: after each run it publishes whatever is due."""
    with here.ledger.begin() as session:
        session.execute(update(Event).where(Event.id.not_in(event_ids)).values(due_at=func.now() + timedelta(days=1)))
    worker = here.start_worker()
    Services.of(here.settings).dispatcher.publish_due(set(event_ids))
    for event_id in event_ids:
        here.finish(event_id)
    kill(worker)


def test_a_lost_stack_comes_back_complete_and_trades_nothing_twice(first: World, second: World, tmp_path: Path) -> None:
    work(first, [record(first.ledger, TRADED)])
    with first.ledger.begin() as session:
        add_traded(session)
    made = active_events(first.ledger)
    (backups := tmp_path / "backups").mkdir()
    assert "read back and complete" in command(first.ledger.url, "backup", str(backups))
    before = sums(first.ledger)

    # What the backup does not know: one of its events ends, another comes and goes.
    work(first, [made[CONTINUED], record(first.ledger, LOST)])
    sent = {account: refs(first, account) for account in (TRADED, CONTINUED, LOST)}
    assert all(sent.values())
    first.end()
    first.ledger.close()

    # Nothing but the file and the broker is left.
    assert "all trading is halted" in command(second.ledger.url, "restore", str(next(backups.iterdir())))
    after = sums(second.ledger)
    assert {name: kept for name, kept in after.items() if name not in CHANGED} == {
        name: kept for name, kept in before.items() if name not in CHANGED
    }
    assert {name: after[name][0] - before[name][0] for name in CHANGED} == dict.fromkeys(CHANGED, 0) | {"halts": 1}

    second.start_worker(WORKER_CONCURRENCY="2")
    second.start_beat()
    second.finish(made["report"])
    replayed = second.submit(LOST, Command.REBALANCE)  # the listener reads the strategy's history again
    until(lambda: second.event(replayed).state == "held")
    assert [second.event(made[account]).state for account in ACTIVE] == ["held"] * len(ACTIVE)
    assert {account: refs(first, account) for account in sent} == sent
    assert [refs(first, account) for account in (QUEUED, RETRYING, WAITING, RUNNING)] == [[]] * 4

    assert halts_and_approvals.resume(Services.of(second.settings), None, "test") == len(ACTIVE) + 1
    for account in ACTIVE:
        second.finish(made[account])
    until(lambda: "traded today" in second.event(replayed).reason, 30, lambda: str(second.event(replayed)))
    assert {account: refs(first, account) for account in sent} == sent, "done before the loss, found at the broker"
    assert all(refs(first, account) for account in (QUEUED, WAITING, RUNNING)), "the fourth was on target already"
    for account in (QUEUED, RETRYING, WAITING, RUNNING):
        left = second.finish(second.submit(account, Command.PRINT_REBALANCE)).result
        assert left is not None
        assert left["orders"] == []
    the_books_agree(first, second)


def the_books_agree(first: World, second: World) -> None:
    """Every order and fill that the gateway ever saw is on record once, and every promise of the ledger holds."""
    seen = first.gateway.do(lambda gateway: [one.ticket.order_ref for one in gateway.orders])
    filled = first.gateway.do(
        lambda gateway: sorted((one.order.ticket.order_ref, one.quantity) for one in gateway.executions)
    )
    assert len(seen) == len(set(seen))
    with second.ledger.begin() as session:
        assert set(seen) <= set(session.scalars(select(Order.order_ref)))
        rows = session.execute(select(FillRow.order_ref, FillRow.quantity).where(FillRow.order_ref.in_(seen)))
        assert sorted((row.order_ref, row.quantity) for row in rows) == filled
        assert invariants.repeated(session) == []
        assert invariants.overlaps(session) == []


def test_numbers_of_before_the_loss_are_not_used_again(first: World, second: World, tmp_path: Path) -> None:
    """An order ref that was used twice would make an old fill look like a new one."""
    made = active_events(first.ledger)
    file = tmp_path / "one.dump"
    command(first.ledger.url, "backup", str(file))
    command(second.ledger.url, "restore", str(file))
    with second.ledger.begin() as session:
        rows = {row.id: row for row in session.scalars(select(Event))}
        assert [halt.by for halt in halts.in_force(session)] == ["restore"]
        assert set(session.scalars(select(ApprovalRow.state))) == {"replaced"}
    assert [rows[made[account]].attempt for account in ACTIVE] == [1000, 1000, 1001, 1001, 1001]
    assert {rows[made[account]].state for account in ACTIVE} == {"held"}
    assert rows[made["report"]].state == "queued"
