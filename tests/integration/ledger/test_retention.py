"""Old records leave, and nothing that may still matter."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from rebalancer.domain.commands import Command
from rebalancer.ledger import events, orders, ownership, signal_intake
from rebalancer.ledger.admin.retention import clean_up
from rebalancer.ledger.models import (
    Attempt,
    AuditRow,
    Base,
    Event,
    FillRow,
    Order,
    OrderReport,
    Signal,
    SignalEvent,
    SnapshotRow,
)
from rebalancer.ledger.session import Ledger, Session
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from tests.integration.state_machine.site import an_order

YEAR = timedelta(days=365)
EVERYTHING = (Event, Attempt, Signal, SignalEvent, Order, OrderReport, FillRow, SnapshotRow)


def traded(ledger: Ledger, name: str, *, settled: bool = True) -> UUID:
    """A rebalance of DU1 with one filled order, and all the records of one."""
    with ledger.begin() as session:
        signal = NewSignal("blend", name, Command.REBALANCE, {})
        event_id = signal_intake.record(session, signal, [Addressee("DU1", "blend")]).served[0].event_id
    claim = ownership.claim(ledger, event_id, "worker", timedelta(minutes=1))
    assert claim is not None
    with ledger.begin() as session:
        orders.record_intents(session, claim, [an_order(claim, 1)])
    with ledger.begin() as session:
        ref = session.scalars(select(Order.order_ref).where(Order.event_id == event_id)).one()
        if settled:
            orders.finalize(session, [ref])
        for statement in (
            "INSERT INTO order_reports (order_ref, at, status, filled, remaining, confirmed)"
            " VALUES (:ref, now(), 'Filled', 1, 0, true)",
            "INSERT INTO fills (order_ref, execution, revision, account_id, symbol, side, at, quantity, price)"
            " VALUES (:ref, :ref, 1, 'DU1', 'SPY', 'BUY', now(), 1, 100)",
            "INSERT INTO account_snapshots (account_id, event_id, attempt, moment, at, net_liquidation, cash,"
            " positions) VALUES ('DU1', :event, 1, 'before', now(), 1, 1, '[]')",
        ):
            session.execute(text(statement), {"ref": ref, "event": event_id})
        events.succeed(session, claim, {})
    return event_id


def grow_old(session: Session, event_id: UUID, by: timedelta, *, fills: bool = True) -> None:
    refs = select(Order.order_ref).where(Order.event_id == event_id)
    signals = select(SignalEvent.signal_id).where(SignalEvent.event_id == event_id)
    session.execute(update(Event).where(Event.id == event_id).values(finished_at=Event.finished_at - by))
    session.execute(update(Order).where(Order.event_id == event_id).values(final_at=Order.final_at - by))
    session.execute(update(Signal).where(Signal.id.in_(signals)).values(received_at=Signal.received_at - by))
    if fills:
        session.execute(update(FillRow).where(FillRow.order_ref.in_(refs)).values(at=FillRow.at - by))


def counted(session: Session) -> dict[str, int]:
    return {model.__tablename__: session.scalar(select(func.count()).select_from(model)) or 0 for model in EVERYTHING}


def test_an_old_event_leaves_with_everything_that_belongs_to_it(ledger: Ledger) -> None:
    old = traded(ledger, "m1")
    traded(ledger, "m2")
    with ledger.begin() as session:
        both = counted(session)
        grow_old(session, old, 2 * YEAR)
        assert clean_up(session, YEAR) == 2  # the event and its signal
        assert {name: count * 2 for name, count in counted(session).items()} == both
        assert session.get(Event, old) is None


@pytest.mark.parametrize("reason", ["young", "fill", "unsettled", "newest", "active"])
def test_what_may_still_matter_stays(ledger: Ledger, reason: str) -> None:
    event_id = traded(ledger, "m1", settled=reason != "unsettled")
    if reason != "newest":
        traded(ledger, "m2")
    with ledger.begin() as session:
        before = counted(session)
        grow_old(session, event_id, timedelta(days=300) if reason == "young" else 2 * YEAR, fills=reason != "fill")
        if reason == "active":
            session.execute(update(Event).where(Event.id == event_id).values(state="held", rule="market_hours"))
        assert clean_up(session, YEAR) == 0
        assert counted(session) == before


def test_a_signal_that_reached_nobody_leaves_by_its_own_age(ledger: Ledger) -> None:
    with ledger.begin() as session:
        for name in ("m1", "m2"):
            signal_intake.record(session, NewSignal("blend", name, Command.REBALANCE, {}), [])
        session.execute(update(Signal).where(Signal.message_id == "m1").values(received_at=func.now() - 2 * YEAR))
        assert clean_up(session, YEAR) == 1
        assert session.scalars(select(Signal.message_id)).all() == ["m2"]


def test_two_at_once_share_the_work(ledger: Ledger) -> None:
    ids = [traded(ledger, f"m{number}") for number in range(5)]
    with ledger.begin() as session:
        for number, event_id in enumerate(ids[:4]):
            grow_old(session, event_id, 2 * YEAR - timedelta(days=number))
    with ledger.begin() as first, ledger.begin() as second:
        assert clean_up(first, YEAR, limit=2) == 4
        assert clean_up(second, YEAR, limit=2) == 4
    with ledger.begin() as session:
        assert session.scalars(select(Event.id)).all() == ids[4:]


def test_changes_that_people_asked_for_leave_by_their_age(ledger: Ledger) -> None:
    with ledger.begin() as session:
        for days in (400, 40, 20):
            asked_at = datetime.now(UTC) - timedelta(days=days)
            row = AuditRow(at=asked_at, actor="a", address="b", action="halt", subject="all", detail={})
            session.add(row)
    for age, left in ((YEAR, 2), (timedelta(days=30), 1), (timedelta(days=30), 1)):
        with ledger.begin() as session:
            clean_up(session, age)
            assert session.scalar(select(func.count()).select_from(AuditRow)) == left


MANY = 30_000
FILL = (
    """
    INSERT INTO events (id, account_id, command, exclusive, strategy, state, reason, data, created_at, due_at,
        finished_at, wanted, taken, attempt, times_queued, failures, refusals, crashes, needs_attention,
        remove_requested, dispatch_no)
    SELECT md5(n::text)::uuid, 'DU' || n % 10, CASE WHEN n % 3 = 0 THEN 'rebalance' ELSE 'print-rebalance' END,
        n % 3 = 0, 's', 'succeeded', 'done', '{}', at, at, at, 1, 1, 1, 1, 0, 0, 0, false, false, 1
    FROM (SELECT n, now() - n * interval '15 minutes' AS at FROM generate_series(1, :many) AS n) AS times
    """,
    """
    INSERT INTO orders (order_ref, event_id, attempt, account_id, symbol, contract_id, side, quantity, order_type,
        time_in_force, planned_price, planned_fee, reason, status, filled, created_at, settled_at)
    SELECT id::text, id, 1, account_id, 'SPY', 1, 'BUY', 1, 'MKT', 'DAY', 1, 1, 'r', 'Filled', 1, created_at,
        finished_at FROM events WHERE exclusive
    """,
    """
    INSERT INTO fills (order_ref, execution, revision, account_id, symbol, side, at, quantity, price, commission)
    SELECT order_ref, order_ref, 1, account_id, symbol, side, created_at, 1, 1, 1 FROM orders
    """,
    """
    INSERT INTO signals (channel, message_id, state, command, received_at)
    SELECT 's', n::text, 'accepted', 'rebalance', now() - n * interval '15 minutes' FROM generate_series(1, :many) AS n
    """,
    """
    INSERT INTO signal_events (signal_id, event_id, wish)
    SELECT id, md5(message_id)::uuid, 1 FROM signals
    """,
    "ANALYZE",
)


@pytest.mark.parametrize("days", [300, 180, 30])
def test_a_batch_takes_no_longer_the_more_there_is(ledger: Ledger, days: int) -> None:
    """A shorter RETENTION_DAYS, an old backup, months without a dispatcher."""
    with ledger.begin() as session:
        for statement in FILL:
            session.execute(text(statement), {"many": MANY} if ":many" in statement else {})
    for _ in range(3):
        started = time.monotonic()
        with ledger.begin() as session:
            assert clean_up(session, timedelta(days=days)) == 200  # events and their signals
        assert time.monotonic() - started < 2


def test_no_table_that_points_at_events_or_orders_is_forgotten() -> None:
    pointing = {
        table.name
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in {"events", "orders"}
    }
    assert pointing == {
        "strategy_holds",
        "signal_events",
        "attempts",
        "orders",
        "order_reports",
        "fills",
        "account_snapshots",
        "approvals",
    }
