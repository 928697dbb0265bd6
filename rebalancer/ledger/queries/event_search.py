"""What people ask of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, tuple_

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.ledger.models import Attempt, Event
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, WAITING, EventState, is_retriable


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The queue in four numbers.

    Attributes:
        queue_length: events that wait: queued, retrying or held.
        active_events_count: those and the running ones.
        oldest_event_age_seconds: of the oldest active event, ``None`` without any.
        events_with_retries: active events queued more than once.
    """

    queue_length: int
    active_events_count: int
    oldest_event_age_seconds: int | None
    events_with_retries: int


@dataclass(frozen=True, slots=True)
class QueueDetail:
    """The active events, counted further.

    Attributes:
        by_state: how many are in each state; states without any are left out.
        by_times_queued: how many have been queued that often.
        attention: how many need a person.
        overdue_s: for how long the longest waiting due event has waited, 0 without any.
        stranded: running events whose lease has run out.
    """

    by_state: dict[EventState, int]
    by_times_queued: dict[int, int]
    attention: int
    overdue_s: float
    stranded: int


@dataclass(frozen=True, slots=True)
class EventView:
    """An event as lists show it.

    Attributes:
        rule: what it waits by.
        remove_requested: somebody asked to end it; a running one stops at its next step.
        gateway: whose workers have it.
    """

    event_id: UUID
    account_id: str
    exec_command: str
    strategy: str
    state: EventState
    reason: str
    times_queued: int
    created_at: datetime
    due_at: datetime
    finished_at: datetime | None
    last_error: str | None
    needs_attention: bool
    rule: str | None
    remove_requested: bool
    data: dict[str, Any]
    gateway: str = MAIN_GATEWAY

    @property
    def retriable(self) -> bool:
        """It waits for nothing but its next try."""
        return is_retriable(self.state, self.rule)


def queue_status(session: Session) -> QueueStatus:
    """Count the active events."""
    row = session.execute(
        select(
            func.count().filter(Event.state.in_(WAITING)),
            func.count(),
            func.extract("epoch", func.now() - func.min(Event.created_at)),
            func.count().filter(Event.times_queued > 1),
        ).where(Event.state.in_(ACTIVE))
    ).one()
    waiting, active, age, retried = row
    return QueueStatus(waiting, active, None if age is None else int(age), retried)


def active_events(session: Session, limit: int) -> list[EventView]:
    """Active events, oldest first."""
    return _events(session, Event.state.in_(ACTIVE), order_by=Event.created_at.asc(), limit=limit)


def queue_detail(session: Session) -> QueueDetail:
    """Count the active events by state and by how often they were queued."""
    states = session.execute(select(Event.state, func.count()).where(Event.state.in_(ACTIVE)).group_by(Event.state))
    queued = session.execute(
        select(Event.times_queued, func.count()).where(Event.state.in_(ACTIVE)).group_by(Event.times_queued)
    )
    waited = func.extract("epoch", func.now() - Event.due_at)
    attention, overdue, stranded = session.execute(
        select(
            func.count().filter(Event.needs_attention),
            func.max(waited).filter(Event.state.in_(WAITING)),
            func.count().filter(Event.lease_until < func.now()),
        ).where(Event.state.in_(ACTIVE))
    ).one()
    return QueueDetail(
        by_state={EventState(state): count for state, count in states},
        by_times_queued={row[0]: row[1] for row in sorted(queued, key=lambda row: row[0])},
        attention=attention,
        overdue_s=max(0.0, float(overdue or 0)),
        stranded=stranded,
    )


def find_events(
    session: Session,
    states: Iterable[EventState],
    limit: int,
    *,
    account_id: str | None = None,
    after: UUID | None = None,
    newest_first: bool = False,
    narrowed: Sequence[ColumnElement[bool]] = (),
) -> list[EventView]:
    """Events in some states, by creation.

    Args:
        after: id of the last event of the page before; an unknown one gives nothing.
        narrowed: what else must hold.
    """
    place = (Event.created_at, Event.id)
    chosen: list[ColumnElement[bool]] = [Event.state.in_(list(states)), *narrowed]
    if account_id is not None:
        chosen.append(Event.account_id == account_id)
    if after is not None:
        mark = select(*place).where(Event.id == after).scalar_subquery()
        chosen.append(tuple_(*place) < mark if newest_first else tuple_(*place) > mark)
    order = [column.desc() if newest_first else column.asc() for column in place]
    rows = session.scalars(select(Event).where(*chosen).order_by(*order).limit(limit))
    return [_view(row) for row in rows]


def recent_events(session: Session, limit: int, account_id: str | None = None) -> list[EventView]:
    """Events of all states, newest first."""
    chosen = Event.account_id == account_id if account_id else Event.id.is_not(None)
    return _events(session, chosen, order_by=Event.created_at.desc(), limit=limit)


def event(session: Session, event_id: UUID) -> EventView | None:
    """One event."""
    found = _events(session, Event.id == event_id, order_by=Event.created_at.asc(), limit=1)
    return found[0] if found else None


def events_beginning(session: Session, digits: str, limit: int = 3) -> list[UUID]:
    """Ids that begin with these hexadecimal digits, at most ``limit``."""
    return list(session.scalars(select(Event.id).where(id_begins(digits)).order_by(Event.id).limit(limit)))


def id_begins(digits: str) -> ColumnElement[bool]:
    """The event's id begins with these hexadecimal digits, at most 32."""
    return Event.id.between(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f")))


def last_result(session: Session, event_id: UUID) -> dict[str, Any] | None:
    """Result of the event's newest successful attempt."""
    return session.scalars(
        select(Attempt.result)
        .where(Attempt.event_id == event_id, Attempt.outcome == "succeeded")
        .order_by(Attempt.number.desc())
        .limit(1)
    ).one_or_none()


def _events(
    session: Session, chosen: ColumnElement[bool], *, order_by: ColumnElement[datetime], limit: int
) -> list[EventView]:
    rows = session.scalars(select(Event).where(chosen).order_by(order_by, Event.id).limit(limit))
    return [_view(row) for row in rows]


def _view(row: Event) -> EventView:
    return EventView(
        event_id=row.id,
        account_id=row.account_id,
        exec_command=row.command,
        strategy=row.strategy,
        state=EventState(row.state),
        reason=row.reason,
        times_queued=row.times_queued,
        created_at=row.created_at,
        due_at=row.due_at,
        finished_at=row.finished_at,
        last_error=row.last_error,
        needs_attention=row.needs_attention,
        rule=row.rule,
        remove_requested=row.remove_requested,
        data=row.data,
        gateway=row.gateway,
    )
