"""Requests that the program makes of itself, at the market open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import delete, exists, func, or_, select

from rebalancer.domain.commands import Command
from rebalancer.domain.recurrence import Recurrence, next_occurrence
from rebalancer.ledger import cash_plans
from rebalancer.ledger.models import ScheduleRow
from rebalancer.ledger.session import Session

ANY_DUE = select(or_(exists().where(ScheduleRow.next_at <= func.now()), cash_plans.DUE))
"""Without one neither :func:`due` finds anything nor that of cash plans, of which is asked with the same breath."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recurring or single request.

    Attributes:
        first_on: New York day of the first occurrence.
        next_at: when it is due next, UTC.
    """

    id: int
    account_id: str
    command: Command
    recurrence: Recurrence
    first_on: date
    next_at: datetime
    created_by: str

    @property
    def message_id(self) -> str:
        """Unique per occurrence: two processes that see it due make one signal of it."""
        return f"{self.id}:{self.next_at:%Y-%m-%d}"


def add(
    session: Session,
    account_id: str,
    command: Command,
    *,
    recurrence: Recurrence,
    first_on: date,
    now: datetime,
    by: str,
) -> Schedule | None:
    """Put a schedule on record.

    Returns:
        ``None`` when its only occurrence has passed.
    """
    next_at = next_occurrence(recurrence, first_on, now)
    if next_at is None:
        return None
    row = ScheduleRow(
        account_id=account_id,
        command=command,
        recurrence=recurrence,
        first_on=first_on,
        next_at=next_at,
        created_by=by,
    )
    session.add(row)
    session.flush()
    return _schedule(row)


def find(session: Session, schedule_id: int) -> Schedule | None:
    """One; ``None`` when there is none of that number."""
    row = session.get(ScheduleRow, schedule_id)
    return None if row is None else _schedule(row)


def remove(session: Session, schedule_id: int) -> bool:
    """Delete one; False when there is none of that number."""
    return (
        session.scalar(delete(ScheduleRow).where(ScheduleRow.id == schedule_id).returning(ScheduleRow.id)) is not None
    )


def clear(session: Session, account_id: str | None = None) -> int:
    """Delete all, or all of one account; how many there were."""
    doomed = delete(ScheduleRow)
    if account_id is not None:
        doomed = doomed.where(ScheduleRow.account_id == account_id)
    return len(session.scalars(doomed.returning(ScheduleRow.id)).all())


def everything(session: Session, account_id: str | None = None) -> list[Schedule]:
    """All, the next due first."""
    chosen = select(ScheduleRow).order_by(ScheduleRow.next_at, ScheduleRow.id)
    if account_id is not None:
        chosen = chosen.where(ScheduleRow.account_id == account_id)
    return [_schedule(row) for row in session.scalars(chosen)]


def due(session: Session) -> list[Schedule]:
    """Those whose time has come."""
    chosen = select(ScheduleRow).where(ScheduleRow.next_at <= func.now()).order_by(ScheduleRow.next_at, ScheduleRow.id)
    return [_schedule(row) for row in session.scalars(chosen)]


def advance(session: Session, done: Schedule, now: datetime) -> None:
    """Move on from an occurrence whose signal is on record; those that were slept through are not made up for: one run
    brings the account to today's targets.
    """
    row = session.scalars(
        select(ScheduleRow)
        .where(ScheduleRow.id == done.id, ScheduleRow.next_at == done.next_at)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return
    next_at = next_occurrence(done.recurrence, done.first_on, max(now, done.next_at))
    if next_at is None:
        session.delete(row)
    else:
        row.next_at = next_at


def _schedule(row: ScheduleRow) -> Schedule:
    return Schedule(
        id=row.id,
        account_id=row.account_id,
        command=Command(row.command),
        recurrence=Recurrence(row.recurrence),
        first_on=row.first_on,
        next_at=row.next_at,
        created_by=row.created_by,
    )
