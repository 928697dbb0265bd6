"""Old records leave in small batches: ended events with all that belongs to them, signals that no event serves, and
what people were told.

What may still matter stays, however old: active events, orders whose outcome is not on record, the newest success of
each account and command. Several processes may clean up at once: each takes what no other has locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select
from sqlalchemy.orm import aliased

from rebalancer.ledger.models import (
    ApprovalRow,
    Attempt,
    DeliveryRow,
    Event,
    FillRow,
    Gap,
    NoticeRow,
    Order,
    OrderReport,
    Signal,
    SignalEvent,
    SnapshotRow,
)
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState

BATCH = 100


def clean_up(session: Session, age: timedelta, limit: int = BATCH) -> int:
    """Delete one batch of what ended longer than ``age`` ago.

    Returns:
        How many events, signals and notices went; less than ``limit`` when little or nothing is left.
    """
    cutoff = func.now() - age
    old = session.scalars(_ended_events(cutoff).limit(limit).with_for_update(skip_locked=True, of=Event)).all()
    _delete_events(session, old)
    idle = select(Signal.id).where(_idle(cutoff)).limit(limit).with_for_update(skip_locked=True)
    told = _delete_notices(session, cutoff, limit)
    gone = session.scalars(delete(Signal).where(Signal.id.in_(idle.scalar_subquery())).returning(Signal.id)).all()
    return len(old) + len(gone) + told


def _ended_events(cutoff: ColumnElement[Any]) -> Select[UUID]:
    newer = aliased(Event)
    superseded = exists().where(
        newer.account_id == Event.account_id,
        newer.command == Event.command,
        newer.state == EventState.SUCCEEDED,
        newer.finished_at > Event.finished_at,
    )
    return (
        select(Event.id)
        .where(
            Event.state.in_((EventState.SUCCEEDED, EventState.REMOVED)),
            Event.finished_at < cutoff,
            or_(Event.state == EventState.REMOVED, superseded),
            ~_traded_since(cutoff),
        )
        .order_by(Event.finished_at)
    )


def _traded_since(cutoff: ColumnElement[Any]) -> ColumnElement[bool]:
    """An order of the event is unsettled, or was settled or filled since."""
    order = and_(Order.event_id == Event.id, or_(Order.settled_at.is_(None), Order.settled_at >= cutoff))
    fill = and_(Order.event_id == Event.id, FillRow.order_ref == Order.order_ref, FillRow.at >= cutoff)
    return or_(exists().where(order), exists().where(fill))


def _idle(cutoff: ColumnElement[Any]) -> ColumnElement[bool]:
    """An old signal that serves nothing on record any more."""
    served = exists().where(SignalEvent.signal_id == Signal.id)
    answer = exists().where(Gap.signal_id == Signal.id)
    return and_(Signal.received_at < cutoff, ~served, ~answer)


def _delete_notices(session: Session, cutoff: ColumnElement[Any], limit: int) -> int:
    """What people were told, or nobody was; nothing that is still to be sent."""
    waits = exists().where(DeliveryRow.notice_id == NoticeRow.id, DeliveryRow.ended_at.is_(None))
    done = and_(NoticeRow.at < cutoff, NoticeRow.routed_at.is_not(None), ~waits)
    ids = session.scalars(select(NoticeRow.id).where(done).limit(limit).with_for_update(skip_locked=True)).all()
    session.execute(delete(DeliveryRow).where(DeliveryRow.notice_id.in_(ids)))
    session.execute(delete(NoticeRow).where(NoticeRow.id.in_(ids)))
    return len(ids)


def _delete_events(session: Session, event_ids: Sequence[UUID]) -> None:
    refs = select(Order.order_ref).where(Order.event_id.in_(event_ids)).scalar_subquery()
    session.execute(delete(FillRow).where(FillRow.order_ref.in_(refs)))
    session.execute(delete(OrderReport).where(OrderReport.order_ref.in_(refs)))
    for model in (Order, SnapshotRow, ApprovalRow, SignalEvent, Attempt):
        session.execute(delete(model).where(model.event_id.in_(event_ids)))
    session.execute(delete(Event).where(Event.id.in_(event_ids)))
