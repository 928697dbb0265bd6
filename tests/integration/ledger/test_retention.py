"""Old records leave, and nothing that may still matter."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from rebalancer.commands import Command
from rebalancer.ledger import events, intake, trades
from rebalancer.ledger.intake import Addressee, NewSignal
from rebalancer.ledger.models import (
    Attempt,
    Base,
    Event,
    FillRow,
    Order,
    OrderReport,
    Signal,
    SignalEvent,
    SnapshotRow,
)
from rebalancer.ledger.retention import clean_up
from rebalancer.ledger.session import Ledger, Session
from tests.integration.state_machine.site import an_order

YEAR = timedelta(days=365)
EVERYTHING = (Event, Attempt, Signal, SignalEvent, Order, OrderReport, FillRow, SnapshotRow)


def traded(ledger: Ledger, name: str, *, settled: bool = True) -> UUID:
    """A rebalance of DU1 with one filled order, and all the records of one."""
    with ledger.begin() as session:
        signal = NewSignal("blend", name, Command.REBALANCE, {})
        event_id = intake.record(session, signal, [Addressee("DU1", "blend")]).served[0].event_id
    claim = events.claim(ledger, event_id, "worker", timedelta(minutes=1))
    assert claim is not None
    with ledger.begin() as session:
        trades.record_intents(session, claim, [an_order(claim, 1)])
    with ledger.begin() as session:
        ref = session.scalars(select(Order.order_ref).where(Order.event_id == event_id)).one()
        if settled:
            trades.settle(session, [ref])
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
    session.execute(update(Order).where(Order.event_id == event_id).values(settled_at=Order.settled_at - by))
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
            session.execute(update(Event).where(Event.id == event_id).values(state="held"))
        assert clean_up(session, YEAR) == 0
        assert counted(session) == before


def test_a_signal_that_reached_nobody_leaves_by_its_own_age(ledger: Ledger) -> None:
    with ledger.begin() as session:
        for name in ("m1", "m2"):
            intake.record(session, NewSignal("blend", name, Command.REBALANCE, {}), [])
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


def test_no_table_that_points_at_events_or_orders_is_forgotten() -> None:
    pointing = {
        table.name
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in {"events", "orders"}
    }
    assert pointing == {
        "signal_events",
        "attempts",
        "orders",
        "order_reports",
        "fills",
        "account_snapshots",
        "approvals",
    }
