"""What a person decides: halt and resume, approve and reject. The command line and the API call the same functions."""

from __future__ import annotations

from uuid import UUID

import structlog

from rebalancer.domain.approvals import Approval
from rebalancer.domain.errors import RequestRefused
from rebalancer.ledger import approvals, halts
from rebalancer.ledger.halts import EVERYTHING, Halt
from rebalancer.ledger.states import EventState
from rebalancer.services import Services

log = structlog.get_logger()


def halt(services: Services, account_id: str | None, reason: str, by: str) -> bool:
    """Stop all trading of one account, or (``None``) of all, before the next order that would be sent.

    Returns:
        False when it was halted already.

    Raises:
        UnknownAccount: naming the configured ones.
    """
    scope = _scope(services, account_id)
    with services.ledger.begin() as session:
        made = halts.halt(session, scope, reason, by)
    log.warning("halted", scope=scope, reason=reason, by=by, already=not made)
    return made


def resume(services: Services, account_id: str | None, by: str) -> int:
    """Lift a halt; what it held runs at once.

    Returns:
        How many events it held.

    Raises:
        RequestRefused: no such halt is in force.
    """
    scope = account_id or EVERYTHING
    with services.ledger.begin() as session:
        freed = halts.resume(session, scope, by)
    if freed is None:
        raise RequestRefused(f"no halt of {scope} is in force; {_listing(halted(services))}")
    log.warning("resumed", scope=scope, by=by, events=len(freed))
    services.dispatcher.publish_due(set(freed))
    return len(freed)


def halted(services: Services) -> list[Halt]:
    """Halts in force, oldest first."""
    with services.ledger.begin() as session:
        return halts.in_force(session)


def waiting(services: Services) -> list[Approval]:
    """Plans that wait for a person, oldest first."""
    with services.ledger.begin() as session:
        return approvals.pending(session)


def approve(services: Services, event_id: UUID, by: str, approval_id: int | None = None) -> None:
    """Let an event trade the plan that it waits with, at once; it is planned anew and must not have moved too far.

    Args:
        approval_id: of the only plan that is meant; whichever waits by default.

    Raises:
        RequestRefused: nothing of that event waits, or another plan than that.
    """
    with services.ledger.begin() as session:
        approved = approvals.approve(session, event_id, by, approval_id)
    if not approved:
        raise _nothing_waits(event_id)
    log.warning("plan_approved", event_id=str(event_id), by=by)
    services.dispatcher.publish_due({event_id})


def reject(services: Services, event_id: UUID, by: str, approval_id: int | None = None) -> EventState:
    """Refuse the plan that an event waits with. This ends the event, unless it was asked for more since that plan was
    made: then it is planned anew.

    Args:
        approval_id: as for :func:`approve`.

    Returns:
        The event's state afterwards.

    Raises:
        RequestRefused: as :func:`approve`.
    """
    with services.ledger.begin() as session:
        state = approvals.reject(session, event_id, by, approval_id)
    if state is None:
        raise _nothing_waits(event_id)
    log.warning("plan_rejected", event_id=str(event_id), state=state, by=by)
    services.dispatcher.publish_due({event_id})
    return state


def _nothing_waits(event_id: UUID) -> RequestRefused:
    return RequestRefused(f"no plan of event {event_id} waits for approval; `rebalancer approvals` lists those that do")


def _scope(services: Services, account_id: str | None) -> str:
    return EVERYTHING if account_id is None else services.accounts().get(account_id).account_id


def _listing(active: list[Halt]) -> str:
    return f"in force are {', '.join(one.scope for one in active)}" if active else "nothing is halted"
