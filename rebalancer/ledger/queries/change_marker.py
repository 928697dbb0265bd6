"""Has anything changed that a person would see? One cheap question, asked again and again by whoever watches."""

from __future__ import annotations

from sqlalchemy import String, cast, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from rebalancer.ledger.models import ApprovalRow, Channel, Event, HaltRow, OrderReport, Signal, SnapshotRow
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE


def fingerprint(session: Session) -> str:
    """A text that differs whenever an active event, a signal, an order, a snapshot, a halt, a plan that
    waits or a channel's trouble does.

    Leases and dispatch numbers are left out: they move without anything happening. Every part reads an index's end or
    the few active events.
    """
    shown = func.concat_ws(
        "/",
        Event.id,
        Event.state,
        Event.attempt,
        Event.reason,
        Event.due_at,
        Event.requested_generation,
        Event.remove_requested,
    )
    active = (
        select(func.md5(func.string_agg(shown, aggregate_order_by(literal(","), Event.id))))
        .where(Event.state.in_(ACTIVE))
        .scalar_subquery()
    )
    troubles = select(func.count(Channel.trouble)).scalar_subquery()
    halts = select(func.count()).where(HaltRow.lifted_at.is_(None)).scalar_subquery()
    newest = [
        select(func.max(table.id)).scalar_subquery()
        for table in (Signal, OrderReport, SnapshotRow, ApprovalRow, HaltRow)
    ]
    parts = [func.coalesce(cast(part, String), "-") for part in (active, troubles, halts, *newest)]
    return str(session.scalar(select(func.concat_ws(":", *parts))))
