"""Old records leave in small batches: ended events with all that belongs to them, signals that no event serves, what
people were told, and who asked for which change.

What may still matter stays, however old: active events, orders whose outcome is not on record, the newest success of
each account and command. Several processes may clean up at once: each takes what no other has locked.

A batch costs the same whatever the ledger holds: candidates come from an index in order of age, and each condition on
one is a look into another index (:func:`_one_by_one`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select
from sqlalchemy.orm import aliased

from rebalancer.domain.strategy_holds import OPEN
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ledger import statements
from rebalancer.ledger.models import (
    ApprovalRow,
    Attempt,
    AuditRow,
    DeliveryRow,
    Event,
    FillRow,
    GapRow,
    NoticeRow,
    Order,
    OrderReport,
    Signal,
    SignalEvent,
    SnapshotRow,
    StrategyHoldRow,
)
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState

BATCH = 100


def clean_up(session: Session, age: timedelta, limit: int = BATCH) -> int:
    """Delete one batch of what ended longer than ``age`` ago; of the next kind once nothing of one kind is left.

    Returns:
        How many events, signals, notices or changes went; 0 when nothing is left.
    """
    kinds = (_delete_events, _delete_signals, _delete_notices)
    gone = (kind(session, func.now() - age, limit) for kind in kinds)
    return next(filter(None, gone), 0) or _forget_statements(session, age, limit) or forget_changes(session, age, limit)


def _delete_events(session: Session, cutoff: ColumnElement[Any], limit: int) -> int:
    """Events, all that belongs to them, and the signals that served nothing else."""
    ids = session.scalars(_ended_events(cutoff).limit(limit).with_for_update(skip_locked=True, of=Event)).all()
    if not ids:
        return 0
    refs = session.scalars(select(Order.order_ref).where(Order.event_id.in_(ids))).all()
    signals = session.scalars(select(SignalEvent.signal_id).where(SignalEvent.event_id.in_(ids)).distinct()).all()
    for record in (FillRow, OrderReport):
        session.execute(delete(record).where(record.order_ref.in_(refs)))
    for model in (Order, SnapshotRow, ApprovalRow, StrategyHoldRow, SignalEvent, Attempt):
        session.execute(delete(model).where(model.event_id.in_(ids)))
    session.execute(delete(Event).where(Event.id.in_(ids)))
    return len(ids) + _delete_idle(session, select(Signal.id).where(Signal.id.in_(signals), _idle(cutoff)))


def _ended_events(cutoff: ColumnElement[Any]) -> Select[UUID]:
    newer = aliased(Event)
    superseded = _one_by_one(
        select(newer.id).where(
            newer.account_id == Event.account_id,
            newer.command == Event.command,
            newer.state == EventState.SUCCEEDED,
            newer.finished_at > Event.finished_at,
        )
    )
    return (
        select(Event.id)
        .where(
            Event.state.in_((EventState.SUCCEEDED, EventState.REMOVED)),
            Event.finished_at < cutoff,
            or_(Event.state == EventState.REMOVED, superseded),
            ~_traded_since(cutoff),
            ~_one_by_one(
                select(StrategyHoldRow.id).where(StrategyHoldRow.event_id == Event.id, StrategyHoldRow.state.in_(OPEN))
            ),
        )
        .order_by(Event.finished_at)
    )


def _one_by_one(row: Select[Any]) -> ColumnElement[bool]:
    """Whether such a row exists, asked for each candidate by itself. Without the offset PostgreSQL may prefer to read
    the whole other table once, for a batch of a hundred as for all.
    """
    return exists(row.offset(0).limit(1))


def _traded_since(cutoff: ColumnElement[Any]) -> ColumnElement[bool]:
    """An order of the event is unsettled, or was settled or filled since."""
    order = and_(Order.event_id == Event.id, or_(Order.final_at.is_(None), Order.final_at >= cutoff))
    fill = and_(Order.event_id == Event.id, FillRow.order_ref == Order.order_ref, FillRow.at >= cutoff)
    filled = select(FillRow.order_ref).join(Order, FillRow.order_ref == Order.order_ref).where(fill)
    return or_(_one_by_one(select(Order.order_ref).where(order)), _one_by_one(filled))


def _delete_signals(session: Session, cutoff: ColumnElement[Any], limit: int) -> int:
    """Those that reached no event, or none that is still on record."""
    return _delete_idle(session, select(Signal.id).where(_idle(cutoff)).order_by(Signal.received_at).limit(limit))


def _delete_idle(session: Session, chosen: Select[int]) -> int:
    ids = session.scalars(chosen.with_for_update(skip_locked=True, of=Signal)).all()
    session.execute(delete(Signal).where(Signal.id.in_(ids)))
    return len(ids)


def _idle(cutoff: ColumnElement[Any]) -> ColumnElement[bool]:
    """An old signal that serves nothing on record any more."""
    served = _one_by_one(select(SignalEvent.event_id).where(SignalEvent.signal_id == Signal.id))
    answer = _one_by_one(select(GapRow.id).where(GapRow.signal_id == Signal.id))
    holds = _one_by_one(select(StrategyHoldRow.id).where(StrategyHoldRow.signal_id == Signal.id))
    return and_(Signal.received_at < cutoff, ~served, ~answer, ~holds)


def _delete_notices(session: Session, cutoff: ColumnElement[Any], limit: int) -> int:
    """What people were told, or nobody was; nothing that is still to be sent."""
    waits = _one_by_one(
        select(DeliveryRow.target).where(DeliveryRow.notice_id == NoticeRow.id, DeliveryRow.ended_at.is_(None))
    )
    done = select(NoticeRow.id).where(NoticeRow.at < cutoff, NoticeRow.routed_at.is_not(None), ~waits)
    oldest = done.order_by(NoticeRow.at).limit(limit)
    ids = session.scalars(oldest.with_for_update(skip_locked=True, of=NoticeRow)).all()
    session.execute(delete(DeliveryRow).where(DeliveryRow.notice_id.in_(ids)))
    session.execute(delete(NoticeRow).where(NoticeRow.id.in_(ids)))
    return len(ids)


def _forget_statements(session: Session, age: timedelta, limit: int) -> int:
    return statements.forget(session, trading_day(datetime.now(UTC) - age), limit)


def forget_changes(session: Session, age: timedelta, limit: int = BATCH) -> int:
    """Delete one batch of the record of who asked for which change. Only the owner of the tables may: where the
    application has a role of its own, `rebalancer grant` does it.

    Returns:
        How many went; 0 when nothing is left, or for want of the right.
    """
    if not session.scalar(select(func.has_table_privilege(AuditRow.__tablename__, "DELETE"))):
        return 0
    oldest = select(AuditRow.id).where(AuditRow.at < func.now() - age).order_by(AuditRow.at).limit(limit)
    ids = session.scalars(oldest.with_for_update(skip_locked=True)).all()
    session.execute(delete(AuditRow).where(AuditRow.id.in_(ids)))
    return len(ids)
