"""Links in messages about plans that wait: whoever has one sees that plan and decides on it, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum

import structlog

from rebalancer.domain import page_addresses
from rebalancer.domain.approvals import Approval
from rebalancer.domain.errors import RequestRefused
from rebalancer.ledger import approvals, audit_log, credentials
from rebalancer.ledger.session import Session
from rebalancer.services import Services

log = structlog.get_logger()

LASTS = timedelta(hours=24)
"""At most; a link never lasts longer than the question that it answers."""


class Decision(StrEnum):
    """What a person says."""

    APPROVE = "approve"
    REJECT = "reject"


def make(services: Services, approval_id: int, target: str, until: datetime) -> str | None:
    """The address of a page that decides on a plan; ``None`` where the settings want no such links.

    Args:
        target: that it is sent to, for the record.
        until: when the question has no use any more.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    page = services.settings.notifications.notify_approval_links
    if page is None:
        return None
    with services.ledger.begin() as session:
        ends = min(until, datetime.now(UTC) + LASTS)
        return page_addresses.decision(page, credentials.make_decision_link(session, approval_id, target, ends))


def look(services: Services, token: str) -> Approval | None:
    """The plan that a link is about, whatever became of it; ``None`` for a link that opens nothing."""
    with services.ledger.begin() as session:
        link = credentials.decision_link(session, token)
        return None if link is None else approvals.find(session, link.approval_id)


def decide(services: Services, token: str, decision: Decision, address: str) -> Approval | None:
    """Approve or reject the plan that a link is about, and use the link up.

    Args:
        address: that it comes from, for the record.

    Returns:
        The plan as it was; ``None`` for a link that opens nothing (any more).

    Raises:
        RequestRefused: that plan waits no more; the link is used up all the same.
    """
    with services.ledger.begin() as session:
        link = credentials.decision_link(session, token)
        if link is None or not credentials.use_up(session, link):
            return None
        found = approvals.find(session, link.approval_id)
        if found is None:
            return None
        by = f"link sent to {link.target}"
        detail = {"approval": found.id}
        audit_log.note(session, by, address, action=decision, subject=str(found.event_id), detail=detail)
        done = _carry_out(session, found, decision, by)
    if not done:
        raise RequestRefused("this plan waits no more: it was decided, replaced or removed")
    services.dispatcher.publish_due({found.event_id})
    return found


def _carry_out(session: Session, asked: Approval, decision: Decision, by: str) -> bool:
    if decision is Decision.APPROVE:
        done = approvals.approve(session, asked.event_id, by, asked.id)
        if done:
            log.warning("plan_approved", event_id=str(asked.event_id), by=by)
        return done
    state = approvals.reject(session, asked.event_id, by, asked.id)
    if state is not None:
        log.warning("plan_rejected", event_id=str(asked.event_id), state=state, by=by)
    return state is not None
