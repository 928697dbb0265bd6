"""What people decided about one event: its plans that were put before them, and what they asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select

from rebalancer.domain.approvals import ApprovalState
from rebalancer.ledger.audit_log import AuditEntry
from rebalancer.ledger.models import ApprovalRow, AuditRow, Event
from rebalancer.ledger.session import Session

ALL_EVENTS = "all events"
"""Subject of a request to remove everything."""
SHOWN = ("remove", "retry")
"""Actions of the audit that belong to an event's story."""
MOST_REQUESTS = 50


@dataclass(frozen=True, slots=True)
class PlanQuestion:
    """A plan that was put before a person, and the answer.

    Attributes:
        attempt: that made the plan.
        decided_by: who consented or refused; ``None`` while nobody has.
    """

    attempt: int
    reasons: tuple[str, ...]
    state: ApprovalState
    asked_at: datetime
    silent_at: datetime | None
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None


@dataclass(frozen=True, slots=True)
class EventDecisions:
    """Questions and requests, each oldest first."""

    questions: tuple[PlanQuestion, ...]
    requests: tuple[AuditEntry, ...]


def event_decisions(session: Session, event_id: UUID) -> EventDecisions:
    """What people were asked and asked for, as far as it concerns an event that exists."""
    event = session.get_one(Event, event_id)
    rows = session.scalars(select(ApprovalRow).where(ApprovalRow.event_id == event_id).order_by(ApprovalRow.id))
    return EventDecisions(
        questions=tuple(_question(row) for row in rows),
        requests=_requests(session, event),
    )


def _requests(session: Session, event: Event) -> tuple[AuditEntry, ...]:
    """Requests to end it or to try it again; who said yes or no to a plan is on record with the plan."""
    rows = session.scalars(
        select(AuditRow)
        .where(
            AuditRow.at >= event.created_at,
            AuditRow.at <= func.coalesce(event.finished_at, func.now()),
            AuditRow.action.in_(SHOWN),
            or_(AuditRow.subject == str(event.id), AuditRow.subject == ALL_EVENTS),
        )
        .order_by(AuditRow.id)
        .limit(MOST_REQUESTS)
    )
    return tuple(
        AuditEntry(row.id, row.at, row.actor, row.address, row.action, row.subject, row.detail) for row in rows
    )


def _question(row: ApprovalRow) -> PlanQuestion:
    return PlanQuestion(
        attempt=row.attempt,
        reasons=tuple(row.reasons),
        state=ApprovalState(row.state),
        asked_at=row.asked_at,
        silent_at=row.silent_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
    )
