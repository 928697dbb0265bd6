"""Has anything changed that a person would see? One cheap question, asked again and again by whoever watches."""

from __future__ import annotations

from sqlalchemy import String, cast, func, select

from rebalancer.ledger.models import Channel, Event, OrderReport, Signal, SnapshotRow
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE


def fingerprint(session: Session) -> str:
    """A text that differs whenever an active event, a signal, an order, a snapshot or a channel's trouble does.

    Leases and dispatch numbers are left out: they move without anything happening. Every part reads an index's end or
    the few active events.
    """
    shown = func.concat_ws(
        "/", Event.id, Event.state, Event.attempt, Event.reason, Event.due_at, Event.wanted, Event.remove_requested
    )
    active = select(func.md5(func.string_agg(shown, ","))).where(Event.state.in_(ACTIVE)).scalar_subquery()
    troubles = select(func.count(Channel.trouble)).scalar_subquery()
    newest = [select(func.max(table.id)).scalar_subquery() for table in (Signal, OrderReport, SnapshotRow)]
    parts = [func.coalesce(cast(part, String), "-") for part in (active, troubles, *newest)]
    return str(session.scalar(select(func.concat_ws(":", *parts))))
