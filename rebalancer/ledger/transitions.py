"""Parts of which the conditional UPDATEs of events are made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Case, ColumnElement, and_, bindparam, case, cast, func, null

from rebalancer.domain.claims import Claim
from rebalancer.ledger.models import Event
from rebalancer.ledger.states import EventState
from rebalancer.ledger.unaccounted_orders import unaccounted
from rebalancer.risk import Blocked

RELEASED: dict[str, Any] = {
    "lease_until": None,
    "worker": None,
    "dispatched_at": None,
    "due_at": func.now(),
    "rule": None,
    "halt_id": None,
}
"""What an event is after a run, whatever it came to."""


def owned_by(claim: Claim) -> ColumnElement[bool]:
    """The event is in that attempt's hands, whether or not its lease has run out."""
    return and_(Event.id == claim.event_id, Event.attempt == claim.attempt, Event.state == EventState.RUNNING)


OWNED = and_(
    Event.id == bindparam("event_id"), Event.attempt == bindparam("attempt"), Event.state == EventState.RUNNING
)
"""The same for statements that are built once, because a run asks them again and again; see :func:`named`."""


def named(claim: Claim) -> dict[str, Any]:
    """Parameters of :data:`OWNED`, and the account."""
    return {"event_id": claim.event_id, "attempt": claim.attempt, "account_id": claim.account_id}


HELD_BY = and_(
    Event.id == bindparam("of_event"), Event.attempt == bindparam("of_attempt"), Event.state == EventState.RUNNING
)
"""The same for an UPDATE, whose parameters must not be called as its columns are; see :func:`of_claim`."""


def of_claim(claim: Claim) -> dict[str, Any]:
    """Parameters of :data:`HELD_BY`."""
    return {"of_event": claim.event_id, "of_attempt": claim.attempt}


def ends_removed() -> ColumnElement[bool]:
    """An operator wants it ended, and nothing is left to look after."""
    return and_(Event.remove_requested, ~unaccounted())


def removed_or(state: EventState) -> Case[Any]:
    """The state after a run that an operator may have ended."""
    return case((ends_removed(), EventState.REMOVED), else_=state)


def finished_if_removed() -> Case[Any]:
    """Its end, if that run was the last."""
    return case((ends_removed(), func.now()), else_=None)


def queued_unless_removed(reason: str) -> dict[str, Any]:
    """State and reason of an event that is due again at once."""
    return {"state": removed_or(EventState.QUEUED), "reason": unless_removed(reason)}


def held_unless_removed(blocked: Blocked, halt_id: int | None) -> dict[str, Any]:
    """The same, and why and until when, of one that waits; whose orders are still to be looked after does not.

    Args:
        halt_id: the halt that holds it, if one does.
    """
    gone = Event.remove_requested
    return {
        "state": case((ends_removed(), EventState.REMOVED), (gone, EventState.QUEUED), else_=EventState.HELD),
        "reason": unless_removed(blocked.reason),
        "rule": case((gone, None), else_=blocked.rule),
        "halt_id": case((gone, null()), else_=cast(halt_id, Event.halt_id.type)),
        "due_at": case((gone, func.now()), else_=blocked.until),
    }


def unless_removed(reason: str) -> Case[Any]:
    """The operator's reason stays."""
    return case((Event.remove_requested, Event.reason), else_=reason)
