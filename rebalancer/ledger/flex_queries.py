"""How far each query of the Flex web service is. Whoever asks takes a turn first, for as long as an answer may take:
two processes never ask for the same, and what dies amid a question is asked again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger import outbox
from rebalancer.ledger.models import FlexQueryRow
from rebalancer.ledger.session import Session

TURN = timedelta(minutes=5)
"""Longer than any answer takes."""
TOLD_AFTER = 3
"""Failures in a row before people are told, where the next try may go well."""


@dataclass(frozen=True, slots=True)
class QueryView:
    """A query as it stands.

    Attributes:
        reference: of the statement that is being made; ``None``: none is.
        requested_at: when that was asked for.
        failures: in a row.
    """

    query_id: str
    due_at: datetime
    reference: str | None
    requested_at: datetime | None
    read_at: datetime | None
    failures: int
    problem: str | None


def take_turn(session: Session, query_ids: Iterable[str]) -> QueryView | None:
    """One of the queries that are due, for us alone; ``None`` when none is."""
    known = list(query_ids)
    rows = [{"query_id": query_id} for query_id in known]
    session.execute(insert(FlexQueryRow).values(rows).on_conflict_do_nothing())
    due = FlexQueryRow.query_id.in_(known), FlexQueryRow.due_at <= func.now()
    first = select(FlexQueryRow).where(*due).order_by(FlexQueryRow.due_at).limit(1)
    row = session.scalar(first.with_for_update(skip_locked=True))
    if row is None:
        return None
    seen = _view(row)
    row.due_at = func.now() + TURN
    return seen


def everything(session: Session, query_ids: Collection[str]) -> dict[str, QueryView]:
    """As far as they were ever asked for."""
    chosen = select(FlexQueryRow).where(FlexQueryRow.query_id.in_(query_ids))
    return {row.query_id: _view(row) for row in session.scalars(chosen)}


def ask(session: Session, query_ids: Collection[str]) -> None:
    """Have them asked for at once; a statement that is being made stays so."""
    chosen = update(FlexQueryRow).where(FlexQueryRow.query_id.in_(query_ids))
    session.execute(chosen.values(due_at=func.least(FlexQueryRow.due_at, func.now())))


def requested(session: Session, query_id: str, reference: str, again_in: timedelta) -> None:
    """A statement is being made."""
    row = session.get_one(FlexQueryRow, query_id, with_for_update=True)
    row.reference, row.requested_at = reference, func.now()
    row.due_at = func.now() + again_in


def waits(session: Session, query_id: str, again_in: timedelta) -> None:
    """It is not ready yet, or we ask too often: no failure."""
    session.get_one(FlexQueryRow, query_id, with_for_update=True).due_at = func.now() + again_in


def failed(session: Session, query_id: str, reason: str, again_in: timedelta, *, for_a_person: bool) -> int:
    """No statement; told once, at once where only a person can help.

    Returns:
        How often in a row.
    """
    row = session.get_one(FlexQueryRow, query_id, with_for_update=True)
    row.failures += 1
    row.reference, row.problem = None, reason
    row.due_at = func.now() + again_in
    if (for_a_person or row.failures >= TOLD_AFTER) and not row.told:
        row.told = outbox.tell(session, NoticeKind.STATEMENT_UNREAD, query=query_id, reason=reason)
    return row.failures


def read(session: Session, query_id: str, due_at: datetime) -> None:
    """A statement was read, and is on record."""
    row = session.get_one(FlexQueryRow, query_id, with_for_update=True)
    row.reference = row.problem = None
    row.failures, row.read_at, row.due_at = 0, func.now(), due_at
    if row.told:
        row.told = False
        outbox.tell(session, NoticeKind.STATEMENT_WELL, query=query_id)


def _view(row: FlexQueryRow) -> QueryView:
    return QueryView(
        query_id=row.query_id,
        due_at=row.due_at,
        reference=row.reference,
        requested_at=row.requested_at,
        read_at=row.read_at,
        failures=row.failures,
        problem=row.problem,
    )
