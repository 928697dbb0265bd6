"""Plans that wait for a person, and what the person said."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select, true, update

from rebalancer.domain.approvals import Approval, ApprovalState, Question
from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger import events, holds, outbox, outstanding
from rebalancer.ledger.events import NEWS
from rebalancer.ledger.models import ApprovalRow, Attempt, Event
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState, Outcome


def current(session: Session, claim: Claim) -> Approval | None:
    """The newest approval of what this event has still to do: one of before its last success no longer counts."""
    succeeded = select(func.coalesce(func.max(Attempt.number), 0)).where(
        Attempt.event_id == claim.event_id, Attempt.outcome == Outcome.SUCCEEDED
    )
    row = session.scalars(
        select(ApprovalRow)
        .where(ApprovalRow.event_id == claim.event_id, ApprovalRow.attempt > succeeded.scalar_subquery())
        .order_by(ApprovalRow.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _approval(row)


def ask(session: Session, claim: Claim, question: Question) -> None:
    """Put a plan before a person, in place of the one before."""
    replaced = update(ApprovalRow).where(
        ApprovalRow.event_id == claim.event_id,
        ApprovalRow.state.in_((ApprovalState.PENDING, ApprovalState.APPROVED, ApprovalState.USED)),
    )
    session.execute(replaced.values(state=ApprovalState.REPLACED))
    asked = ApprovalRow(
        event_id=claim.event_id,
        attempt=claim.attempt,
        account_id=claim.account_id,
        plan=question.plan,
        orders={symbol: str(amount) for symbol, amount in question.orders.items()},
        reasons=list(question.reasons),
        state=ApprovalState.PENDING,
        silent_at=question.silent_at,
        expires_at=question.expires_at,
    )
    session.add(asked)
    session.flush()
    _tell(session, claim, question, asked.id)


def use(session: Session, approval_id: int, by: str | None) -> None:
    """Note that the approved plan is being carried out.

    Args:
        by: who approved it, if nobody has been noted yet.
    """
    session.execute(
        update(ApprovalRow)
        .where(ApprovalRow.id == approval_id)
        .values(
            state=ApprovalState.USED,
            decided_by=func.coalesce(ApprovalRow.decided_by, by),
            decided_at=func.coalesce(ApprovalRow.decided_at, func.now()),
        )
    )


def approve(session: Session, event_id: UUID, by: str, approval_id: int | None = None) -> bool:
    """Record a person's consent to the plan that a held event waits with; it is due now.

    Args:
        approval_id: of the only plan that is meant; whichever waits by default.

    Returns:
        False when no such plan of that event waits: none was asked for, it was decided, or a run is under way.
    """
    decided = _decide(session, event_id, by, ApprovalState.APPROVED, approval_id)
    if decided is not None:
        holds.free(session, "approved", Event.id == event_id)
    return decided is not None


def reject(session: Session, event_id: UUID, by: str, approval_id: int | None = None) -> EventState | None:
    """Record a person's refusal. It ends what that plan was to serve; what the event was asked for since, or beside it,
    is due now.

    Args:
        approval_id: as for :func:`approve`.

    Returns:
        The event's state afterwards; ``None`` when no such plan of that event waits.
    """
    attempt = _decide(session, event_id, by, ApprovalState.REJECTED, approval_id)
    if attempt is None:
        return None
    session.execute(
        update(Attempt)
        .where(Attempt.event_id == event_id, Attempt.number == attempt)
        .values(outcome=Outcome.REJECTED, error=f"rejected by {by}")
    )
    event = session.get_one(Event, event_id)
    if not outstanding.left(session, event_id, Command(event.command), event.requested_generation):
        return events.remove(session, event_id, f"rejected by {by}")
    holds.free(session, NEWS, Event.id == event_id)
    return EventState.QUEUED


def _decide(session: Session, event_id: UUID, by: str, decision: ApprovalState, approval_id: int | None) -> int | None:
    """The attempt whose plan that was; no run of the event can begin before this transaction ends."""
    held = select(Event.id).where(Event.id == event_id, Event.state == EventState.HELD).with_for_update()
    if session.scalar(held) is None:
        return None
    meant = true() if approval_id is None else ApprovalRow.id == approval_id
    return session.scalar(
        update(ApprovalRow)
        .where(meant, ApprovalRow.event_id == event_id, ApprovalRow.state == ApprovalState.PENDING)
        .values(state=decision, decided_by=by, decided_at=func.now())
        .returning(ApprovalRow.attempt)
    )


_WAITS = (ApprovalRow.state == ApprovalState.PENDING, Event.state == EventState.HELD)


def pending(session: Session, account_id: str | None = None) -> list[Approval]:
    """Plans that wait, oldest first; those of removed events no longer do."""
    chosen = select(ApprovalRow).join(Event, Event.id == ApprovalRow.event_id).where(*_WAITS).order_by(ApprovalRow.id)
    if account_id is not None:
        chosen = chosen.where(ApprovalRow.account_id == account_id)
    return [_approval(row) for row in session.scalars(chosen)]


def count(session: Session) -> int:
    """How many wait."""
    counted = select(func.count()).select_from(ApprovalRow).join(Event, Event.id == ApprovalRow.event_id).where(*_WAITS)
    return session.scalar(counted) or 0


def find(session: Session, approval_id: int) -> Approval | None:
    """A plan that was put before a person, whatever became of it."""
    row = session.get(ApprovalRow, approval_id)
    return None if row is None else _approval(row)


def _approval(row: ApprovalRow) -> Approval:
    return Approval(
        id=row.id,
        event_id=row.event_id,
        account_id=row.account_id,
        state=ApprovalState(row.state),
        reasons=tuple(row.reasons),
        orders={symbol: Decimal(amount) for symbol, amount in row.orders.items()},
        plan=row.plan,
        asked_at=row.asked_at,
        silent_at=row.silent_at,
        expires_at=row.expires_at,
        decided_by=row.decided_by,
    )


def _tell(session: Session, claim: Claim, question: Question, approval_id: int) -> None:
    """Tell that a plan is before a person."""
    equity = Decimal(question.plan.get("equity") or 0)
    turnover = sum(abs(amount) for amount in question.orders.values())
    outbox.tell(
        session,
        NoticeKind.APPROVAL,
        claim.account_id,
        claim.event_id,
        approval=approval_id,
        reasons=list(question.reasons),
        orders=len(question.orders),
        turnover=str(turnover / equity) if equity > 0 else None,
        silent_at=question.silent_at and question.silent_at.isoformat(),
        expires_at=question.expires_at.isoformat(),
    )
