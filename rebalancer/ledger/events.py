"""The life of an event: every transition is one conditional UPDATE, so that races have exactly one winner.

    queued, retrying, held --claim--> running --succeed--> succeeded (or queued again, when more was wanted meanwhile)
                                      running --fail-----> retrying
                                      running --hold-----> held
                                      running --reap-----> retrying (its worker died)
    queued, retrying, held --remove-> removed; a running one at its next step

``attempt`` is the fencing number: an attempt that lost its lease can change nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, or_, select, update
from sqlalchemy.orm import aliased

from rebalancer.commands import Command
from rebalancer.errors import LeaseLost
from rebalancer.ledger.models import Attempt, Event
from rebalancer.ledger.session import IntegrityError, Ledger, Session
from rebalancer.ledger.states import WAITING, EventState, Outcome

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Due time of an event that waits for a person."""

BUSY_DELAY = timedelta(seconds=2)
BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run an event, as long as its lease is renewed."""

    event_id: UUID
    attempt: int
    account_id: str
    command: Command
    strategy: str
    data: dict[str, Any]
    times_queued: int
    failures: int
    worker: str


@dataclass(frozen=True, slots=True)
class Due:
    """An event that may be claimed, with the number of the message that says so."""

    event_id: UUID
    account_id: str
    command: Command
    strategy: str
    dispatch_no: int


def claim(ledger: Ledger, event_id: UUID, worker: str, lease: timedelta) -> Claim | None:
    """Claim a due event.

    Returns:
        ``None`` when there is nothing to claim: a duplicate, late or stale message; or the account's orders are in
        another run's hands, in which case the event becomes due again shortly.
    """
    try:
        with ledger.begin() as session:
            return _claim(session, event_id, worker, lease)
    except IntegrityError:
        with ledger.begin() as session:
            _postpone_busy(session, event_id)
        return None


def _claim(session: Session, event_id: UUID, worker: str, lease: timedelta) -> Claim | None:
    event = session.scalar(
        update(Event)
        .where(Event.id == event_id, Event.state.in_(WAITING), Event.due_at <= func.now())
        .values(
            state=EventState.RUNNING,
            reason="running",
            attempt=Event.attempt + 1,
            taken=Event.wanted,
            lease_until=func.now() + lease,
            worker=worker,
        )
        .returning(Event)
    )
    if event is None:
        return None
    session.add(Attempt(event_id=event.id, number=event.attempt, taken=event.taken, worker=worker))
    return Claim(
        event.id,
        event.attempt,
        event.account_id,
        Command(event.command),
        event.strategy,
        event.data,
        event.times_queued,
        event.failures,
        worker,
    )


def _postpone_busy(session: Session, event_id: UUID) -> None:
    session.execute(
        update(Event)
        .where(Event.id == event_id, Event.state.in_(WAITING))
        .values(due_at=func.now() + BUSY_DELAY, dispatched_at=None, reason=BUSY)
    )


def renew(session: Session, claim: Claim, lease: timedelta) -> bool:
    """Extend the lease.

    Returns:
        True when an operator asked for the event's removal.

    Raises:
        LeaseLost: it had run out, or another attempt owns the event.
    """
    wanted = session.execute(
        update(Event)
        .where(_held_by(claim), Event.lease_until > func.now())
        .values(lease_until=func.now() + lease)
        .returning(Event.remove_requested)
    ).one_or_none()
    if wanted is None:
        raise LeaseLost(f"attempt {claim.attempt} of event {claim.event_id} no longer holds its lease")
    return bool(wanted.remove_requested)


def succeed(session: Session, claim: Claim, result: dict[str, Any]) -> EventState:
    """Record success; runs once more when signals joined since the claim.

    Raises:
        LeaseLost: success may not be written any more, even if nobody has taken over.
    """
    again = Event.wanted > Event.taken
    state = session.scalar(
        update(Event)
        .where(_held_by(claim), Event.lease_until > func.now())
        .values(
            state=case(
                (and_(again, Event.remove_requested), EventState.REMOVED),
                (again, EventState.QUEUED),
                else_=EventState.SUCCEEDED,
            ),
            reason=case((again, "newer signal"), else_="done"),
            times_queued=case((again, 1), else_=Event.times_queued),
            finished_at=case((and_(again, ~Event.remove_requested), None), else_=func.now()),
            failures=0,
            crashes=0,
            needs_attention=False,
            **_RELEASED,
        )
        .returning(Event.state)
    )
    if state is None:
        raise LeaseLost(f"attempt {claim.attempt} of event {claim.event_id} succeeded after it had lost its lease")
    _end_attempt(session, claim, Outcome.SUCCEEDED, None, result)
    _free_busy(session, claim.account_id)
    return EventState(state)


def fail(
    session: Session,
    claim: Claim,
    error: str,
    delay: timedelta,
    *,
    needs_attention: bool = False,
    result: dict[str, Any] | None = None,
) -> EventState:
    """Record a failure and put the event at the back of the queue: due after ``delay``, at once if there is news.

    Raises:
        LeaseLost: another attempt owns the event.
    """
    state = session.scalar(
        update(Event)
        .where(_held_by(claim))
        .values(
            state=case((Event.remove_requested, EventState.REMOVED), else_=EventState.RETRYING),
            reason=case((Event.remove_requested, "removed by operator"), else_="retry"),
            finished_at=case((Event.remove_requested, func.now()), else_=None),
            times_queued=Event.times_queued + 1,
            failures=Event.failures + 1,
            needs_attention=literal(needs_attention),
            last_error=error,
            **_RELEASED | {"due_at": func.now() + case((Event.wanted > Event.taken, timedelta()), else_=delay)},
        )
        .returning(Event.state)
    )
    return _after(session, claim, state, outcome=Outcome.FAILED, error=error, result=result)


def hold(session: Session, claim: Claim, reason: str, until: datetime) -> EventState:
    """Wait for a known time (or :data:`FOREVER`, for a person) without occupying a worker.

    Raises:
        LeaseLost: another attempt owns the event.
    """
    state = session.scalar(
        update(Event)
        .where(_held_by(claim))
        .values(
            state=case((Event.remove_requested, EventState.REMOVED), else_=EventState.HELD),
            reason=case((Event.remove_requested, "removed by operator"), else_=reason),
            finished_at=case((Event.remove_requested, func.now()), else_=None),
            **_RELEASED | {"due_at": until},
        )
        .returning(Event.state)
    )
    return _after(session, claim, state, outcome=Outcome.HELD, error=reason)


def stop(session: Session, claim: Claim, reason: str) -> EventState:
    """End a running event for good, at an operator's wish.

    Raises:
        LeaseLost: another attempt owns the event.
    """
    state = session.scalar(
        update(Event)
        .where(_held_by(claim))
        .values(state=EventState.REMOVED, reason=reason, finished_at=func.now(), **_RELEASED)
        .returning(Event.state)
    )
    return _after(session, claim, state, outcome=Outcome.REMOVED, error=reason)


def remove(session: Session, event_id: UUID, reason: str) -> EventState | None:
    """Remove an active event: at once when it waits, at its next step when it runs.

    Returns:
        Its state afterwards; ``None`` when no active event has that id.
    """
    state = session.scalar(
        update(Event)
        .where(Event.id == event_id, Event.state.in_((*WAITING, EventState.RUNNING)))
        .values(
            state=case((Event.state == EventState.RUNNING, Event.state), else_=EventState.REMOVED),
            reason=case((Event.state == EventState.RUNNING, Event.reason), else_=reason),
            finished_at=case((Event.state == EventState.RUNNING, None), else_=func.now()),
            remove_requested=True,
        )
        .returning(Event.state)
    )
    return None if state is None else EventState(state)


def reap(session: Session, delay: timedelta, grace: timedelta, dead_workers: Collection[str] = ()) -> list[UUID]:
    """Take running events back whose lease ran out ``grace`` ago, or whose worker is known to be dead.

    Each crash in a row doubles the delay, up to an hour, and three of them need a person's attention.
    """
    lost = or_(Event.lease_until < func.now() - grace, Event.worker.in_(dead_workers))
    backoff = func.least(delay * func.power(2, Event.crashes), timedelta(hours=1))
    rows = session.execute(
        update(Event)
        .where(Event.state == EventState.RUNNING, lost)
        .values(
            state=case((Event.remove_requested, EventState.REMOVED), else_=EventState.RETRYING),
            reason=case((Event.remove_requested, "removed by operator"), else_="worker lost"),
            finished_at=case((Event.remove_requested, func.now()), else_=None),
            crashes=Event.crashes + 1,
            times_queued=Event.times_queued + 1,
            last_error=func.concat("worker ", Event.worker, " died or fell silent during attempt ", Event.attempt),
            needs_attention=Event.crashes >= 2,
            **_RELEASED | {"due_at": func.now() + case((Event.crashes == 0, timedelta()), else_=backoff)},
        )
        .returning(Event.id, Event.attempt)
    ).all()
    for row in rows:
        session.execute(
            update(Attempt)
            .where(Attempt.event_id == row.id, Attempt.number == row.attempt, Attempt.finished_at.is_(None))
            .values(outcome=Outcome.LOST, finished_at=func.now(), error="worker died or fell silent")
        )
    return [row.id for row in rows]


def key_of(session: Session, event_id: UUID) -> tuple[str, Command] | None:
    """Account and command of an event."""
    row = session.execute(select(Event.account_id, Event.command).where(Event.id == event_id)).one_or_none()
    return None if row is None else (row.account_id, Command(row.command))


def running_workers(session: Session) -> list[str]:
    """Workers that hold a running event."""
    return list(session.scalars(select(Event.worker).where(Event.state == EventState.RUNNING).distinct()))


def take_due(session: Session, stale: timedelta, only: Collection[UUID] | None = None, limit: int = 200) -> list[Due]:
    """Number a message for each due event that has none under way, oldest due first.

    Args:
        stale: a message published longer ago than this is taken for lost.
        only: consider these events alone.
    """
    running = aliased(Event)
    busy = exists().where(
        running.account_id == Event.account_id, running.state == EventState.RUNNING, running.exclusive, Event.exclusive
    )
    due = (
        select(Event.id)
        .where(
            Event.state.in_(WAITING),
            Event.due_at <= func.now(),
            or_(Event.dispatched_at.is_(None), Event.dispatched_at < func.now() - stale),
            ~busy,
        )
        .order_by(Event.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Event)
    )
    if only is not None:
        due = due.where(Event.id.in_(only))
    rows = session.scalars(
        update(Event)
        .where(Event.id.in_(due.scalar_subquery()))
        .values(dispatch_no=Event.dispatch_no + 1, dispatched_at=func.now())
        .returning(Event)
    ).all()
    rows = sorted(rows, key=lambda row: row.due_at)
    return [Due(row.id, row.account_id, Command(row.command), row.strategy, row.dispatch_no) for row in rows]


_RELEASED: dict[str, Any] = {
    "lease_until": None,
    "worker": None,
    "dispatched_at": None,
    "due_at": func.now(),
}


def _held_by(claim: Claim) -> ColumnElement[bool]:
    return and_(Event.id == claim.event_id, Event.attempt == claim.attempt, Event.state == EventState.RUNNING)


def _after(
    session: Session,
    claim: Claim,
    state: str | None,
    *,
    outcome: Outcome,
    error: str,
    result: dict[str, Any] | None = None,
) -> EventState:
    if state is None:
        raise LeaseLost(f"attempt {claim.attempt} of event {claim.event_id} was taken over before it could end")
    _end_attempt(session, claim, Outcome.REMOVED if state == EventState.REMOVED else outcome, error, result)
    _free_busy(session, claim.account_id)
    return EventState(state)


def _end_attempt(
    session: Session, claim: Claim, outcome: Outcome, error: str | None, result: dict[str, Any] | None
) -> None:
    session.execute(
        update(Attempt)
        .where(Attempt.event_id == claim.event_id, Attempt.number == claim.attempt)
        .values(outcome=outcome, error=error, result=result, finished_at=func.now())
    )


def _free_busy(session: Session, account_id: str) -> None:
    """Whoever waited for this account's turn is due now."""
    session.execute(
        update(Event)
        .where(Event.account_id == account_id, Event.state.in_(WAITING), Event.reason == BUSY)
        .values(due_at=func.now())
    )
