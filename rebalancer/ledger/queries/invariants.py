"""Whether the ledger keeps its promises: every signal served, none twice, one hand per account.

Each question is one query over all rows; the answers of a sound ledger are empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, select, text
from sqlalchemy.orm import aliased

from rebalancer.domain.money import ZERO
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger.models import Attempt, Channel, Event, FillRow, Order, Signal, SignalEvent
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState, Outcome, SignalState

_NO_OTHER_BEGINS = text("LOCK TABLE events IN SHARE MODE")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A signal on record, and what became of it on arrival."""

    channel: str
    message_id: str
    state: SignalState


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two attempts that ran at the same time and must not have."""

    account_id: str
    first: tuple[UUID, int]
    second: tuple[UUID, int]


def recorded(session: Session, channels: Sequence[str]) -> list[Recorded]:
    """Signals of these channels in the order in which they were recorded."""
    rows = session.execute(
        select(Signal.channel, Signal.message_id, Signal.state).where(Signal.channel.in_(channels)).order_by(Signal.id)
    )
    return [Recorded(row.channel, row.message_id, SignalState(row.state)) for row in rows]


def attached(session: Session) -> set[str]:
    """Channels that a listener hears, or heard when it last said so."""
    return set(session.scalars(select(Channel.channel).where(Channel.attached_since.is_not(None))))


def active(session: Session) -> int:
    """Events that are not finished."""
    return session.scalar(select(func.count()).select_from(Event).where(Event.state.in_(ACTIVE))) or 0


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """What a signal asks of an account.

    Attributes:
        account_id: empty for a signal that no event serves.
    """

    message_id: str
    account_id: str


def unserved(session: Session) -> list[Request]:
    """What no successful attempt has covered, removed events and rejected plans apart.

    An attempt covers those of its kind whose request the event had heard when it was claimed.
    """
    requests = (
        select(Signal.message_id, Event.account_id)
        .join(SignalEvent, SignalEvent.signal_id == Signal.id)
        .join(Event, Event.id == SignalEvent.event_id)
        .where(Event.state != EventState.REMOVED, ~exists().where(*_served_by(Attempt)))
    )
    orphans = select(Signal.message_id, literal("").label("account_id")).where(
        Signal.state == SignalState.ACCEPTED, ~exists().where(SignalEvent.signal_id == Signal.id)
    )
    rows = (*session.execute(requests), *session.execute(orphans))
    return sorted({Request(row.message_id, row.account_id) for row in rows})


def served(session: Session) -> dict[Request, datetime]:
    """When the first attempt that covers it had ended."""
    rows = session.execute(
        select(Signal.message_id, Event.account_id, func.min(Attempt.finished_at).label("at"))
        .join(SignalEvent, SignalEvent.signal_id == Signal.id)
        .join(Event, Event.id == SignalEvent.event_id)
        .join(Attempt, and_(*_served_by(Attempt)))
        .group_by(Signal.message_id, Event.account_id)
    )
    return {Request(row.message_id, row.account_id): row.at for row in rows}


def _served_by(attempt: type[Attempt]) -> tuple[ColumnElement[bool], ...]:
    return (
        attempt.event_id == SignalEvent.event_id,
        attempt.outcome.in_((Outcome.SUCCEEDED, Outcome.REJECTED)),
        attempt.observed_generation >= SignalEvent.request_no,
        _covers(attempt, SignalEvent),
    )


def _covers(done: type[Attempt], other: type[Attempt | SignalEvent]) -> ColumnElement[bool]:
    """More cash that was raised holds less; of previews none shows another."""
    more = and_(Event.exclusive, done.amount > other.amount)
    return and_(done.kind == other.kind, or_(done.amount == other.amount, more))


def repeated(session: Session) -> list[tuple[UUID, int]]:
    """Successful attempts without a request that an earlier success of the same event had not served."""
    earlier = aliased(Attempt)
    again = exists().where(
        earlier.event_id == Attempt.event_id,
        earlier.number < Attempt.number,
        earlier.outcome == Outcome.SUCCEEDED,
        earlier.observed_generation >= Attempt.observed_generation,
        _covers(earlier, Attempt),
    )
    rows = session.execute(
        select(Attempt.event_id, Attempt.number)
        .join(Event, Event.id == Attempt.event_id)
        .where(Attempt.outcome == Outcome.SUCCEEDED, again)
    )
    return [(row.event_id, row.number) for row in rows]


def overlaps(session: Session) -> list[Overlap]:
    """Attempts of one account that ran at once, although for the same command or both with a hand on its orders."""
    one, other = aliased(Attempt), aliased(Attempt)
    event, another = aliased(Event), aliased(Event)
    later = or_(
        other.started_at > one.started_at,
        and_(other.started_at == one.started_at, or_(other.event_id > one.event_id, other.number > one.number)),
    )
    rows = session.execute(
        select(event.account_id, one.event_id, one.number, other.event_id.label("other_id"), other.number.label("no"))
        .join(event, event.id == one.event_id)
        .join(another, another.account_id == event.account_id)
        .join(other, other.event_id == another.id)
        .where(
            or_(event.command == another.command, and_(event.exclusive, another.exclusive)),
            or_(one.event_id != other.event_id, one.number != other.number),
            later,
            other.started_at < func.coalesce(one.finished_at, func.now()),
        )
    )
    return [Overlap(row.account_id, (row.event_id, row.number), (row.other_id, row.no)) for row in rows]


@dataclass(frozen=True, slots=True)
class OrderOnRecord:
    """An order's intent, and what its executions say.

    Attributes:
        run: event and attempt that sent it.
        filled: shares; ``notional`` and ``commission`` are USD.
        created_at: when the intent was written.
        run_began_at: when it was claimed.
        run_ended_at: none while it lasts.
    """

    run: tuple[UUID, int]
    account_id: str
    symbol: str
    side: str
    quantity: int
    created_at: datetime
    run_began_at: datetime
    run_ended_at: datetime | None
    filled: Decimal
    notional: Decimal
    commission: Decimal


def orders_on_record(session: Session) -> dict[str, OrderOnRecord]:
    """All orders by order ref."""
    rows = session.execute(
        select(
            Order,
            Attempt.started_at,
            Attempt.finished_at,
            func.coalesce(func.sum(FillRow.quantity), 0).label("filled"),
            func.coalesce(func.sum(FillRow.quantity * FillRow.price), 0).label("notional"),
            func.coalesce(func.sum(FillRow.commission), 0).label("commission"),
        )
        .outerjoin(FillRow, FillRow.order_ref == Order.order_ref)
        .join(Attempt, and_(Attempt.event_id == Order.event_id, Attempt.number == Order.attempt))
        .group_by(Order.order_ref, Attempt.started_at, Attempt.finished_at)
    )
    return {
        order.order_ref: OrderOnRecord(
            run=(order.event_id, order.attempt),
            account_id=order.account_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            created_at=order.created_at,
            run_began_at=began_at,
            run_ended_at=ended_at,
            filled=filled,
            notional=notional,
            commission=commission or ZERO,
        )
        for order, began_at, ended_at, filled, notional, commission in rows
    }


def waiting_for_settlement(session: Session) -> frozenset[str]:
    """Accounts that wait for the proceeds of sales, as they have to."""
    waits = (Event.state == EventState.HELD, Event.rule == Rule.SETTLEMENT)
    return frozenset(session.scalars(select(Event.account_id).where(*waits)))


def running_alone(session: Session) -> frozenset[str]:
    """Accounts with a run under way; until the session ends no other begins."""
    session.execute(_NO_OTHER_BEGINS)
    return frozenset(session.scalars(select(Event.account_id).where(Event.state == EventState.RUNNING)))


def every_event(session: Session) -> list[tuple[UUID, str]]:
    """Id and command of each, whatever its state."""
    return [(row.id, row.command) for row in session.execute(select(Event.id, Event.command))]
