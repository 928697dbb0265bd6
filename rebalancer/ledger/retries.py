"""A person's word that an event need not wait for the time of its next try."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update

from rebalancer.domain.commands import Command
from rebalancer.ledger import halts
from rebalancer.ledger.models import Event
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState, is_retriable
from rebalancer.ledger.transitions import unless_removed


@dataclass(frozen=True, slots=True)
class RetryAnswer:
    """What became of that word.

    Attributes:
        made: it is due now, and was not before.
        forbidden: what it has to wait for all the same; ``None`` when nothing stands in its way.
    """

    made: bool
    forbidden: str | None = None


def retry(session: Session, event_id: UUID, by: str) -> RetryAnswer | None:
    """Make an event due at once that waits for its next try; its run asks every rule again. One that is due or runs
    stays as it is.

    Returns:
        ``None`` when no active event has that id.
    """
    event = session.scalar(select(Event).where(Event.id == event_id, Event.state.in_(ACTIVE)))
    if event is None:
        return None
    forbidden = _forbidden(session, event)
    if forbidden is not None:
        return RetryAnswer(made=False, forbidden=forbidden)
    unchanged = (Event.id == event_id, Event.state == event.state, Event.attempt == event.attempt)
    waits = (Event.state.in_((EventState.RETRYING, EventState.HELD)), Event.due_at > func.now())
    made = session.scalar(
        update(Event)
        .where(*unchanged, *waits)
        .values(
            state=EventState.QUEUED,
            reason=unless_removed(f"retry asked for by {by}"),
            rule=None,
            due_at=func.now(),
            dispatched_at=None,
        )
        .returning(Event.id)
    )
    return RetryAnswer(made=made is not None)


def _forbidden(session: Session, event: Event) -> str | None:
    """A halt, a plan that is before a person, the market's hours, the pace: whatever does not end by another try."""
    state = EventState(event.state)
    if state not in (EventState.RETRYING, EventState.HELD):
        return None
    if not is_retriable(state, event.rule):
        return f"it waits by the rule {event.rule}: {event.reason}"
    halt = halts.lasting(session, event.account_id) if event.command == Command.REBALANCE else None
    return None if halt is None else halt.blocks.reason
