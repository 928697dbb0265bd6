"""Idle cash invests itself once, and only in an account that wants it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from rebalancer.domain.commands import Command
from rebalancer.domain.trading_sessions import is_weekday, market_open, trading_day
from rebalancer.ledger.models import Event, Signal, SignalEvent, SnapshotRow
from rebalancer.operations.idle_cash import IdleCash
from tests.integration.strategies.conftest import Desk
from tests.world import held

ACCOUNT = "DU1000001"
DAY = timedelta(days=1)


def opening() -> datetime:
    """Of the next weekday."""
    day = trading_day(datetime.now(UTC)) + DAY
    while not is_weekday(day):
        day += DAY
    return market_open(day)


NOON = opening() + timedelta(hours=2)


def beat(desk: Desk, now: datetime = NOON) -> list[str]:
    """Another process each time; what has been asked for so far."""
    IdleCash(desk.services, lambda: now).look()
    with desk.world.ledger.begin() as session:
        rows = session.scalars(select(Signal).where(Signal.channel == "idle-cash").order_by(Signal.id)).all()
        return [row.message_id.partition(":")[0] for row in rows]


def finish(desk: Desk) -> None:
    with desk.world.ledger.begin() as session:
        ids = session.scalars(select(Event.id)).all()
    for event_id in ids:
        desk.until(event_id, "succeeded")


def test_cash_is_looked_at_daily_and_invested_once_when_its_time_has_come(desk: Desk) -> None:
    desk.configure({ACCOUNT: ", invest_idle_cash_after: 3"}, "")
    desk.world.start_worker()
    assert beat(desk) == ["look"]
    assert beat(desk) == ["look"], "once a day"
    finish(desk)
    with desk.world.ledger.begin() as session:
        session.execute(update(SnapshotRow).values(at=NOON - 3 * DAY + timedelta(minutes=1)))
    desk.world.finish(desk.world.submit(ACCOUNT, Command.PRINT_REBALANCE))
    assert beat(desk) == ["look"], "a minute is missing"
    assert held(desk.world, ACCOUNT) == {}

    assert beat(desk, NOON + timedelta(minutes=1)) == ["look", "invest"]
    assert beat(desk, NOON + timedelta(minutes=1)) == ["look", "invest"]
    finish(desk)
    assert held(desk.world, ACCOUNT)
    with desk.world.ledger.begin() as session:
        assert session.scalars(select(SignalEvent.kind).where(SignalEvent.kind != "full")).all() == ["buy-only"]
    assert beat(desk, NOON + DAY).count("invest") == 1


def test_without_the_setting_nothing_is_asked_for(desk: Desk) -> None:
    desk.configure({ACCOUNT: ""}, "")
    assert beat(desk) == []


def test_the_days_look_waits_for_the_market(desk: Desk) -> None:
    desk.configure({ACCOUNT: ", invest_idle_cash_after: 1"}, "")
    assert beat(desk, opening() + timedelta(minutes=29)) == []
    saturday = opening()
    while is_weekday(trading_day(saturday)):
        saturday += DAY
    assert beat(desk, saturday + timedelta(hours=3)) == []
    assert beat(desk, opening() + timedelta(minutes=30)) == ["look"]
