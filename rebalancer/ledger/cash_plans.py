"""Cash that is to be settled by a day: on record until the day has passed, whoever restarts meanwhile."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, exists, func, select, update

from rebalancer.domain.cash_plans import CashPlan, CashPlanState
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.trading_sessions import day_start
from rebalancer.ledger.models import Attempt, CashPlanRow, Event
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import Outcome

_OPEN = (CashPlanRow.ended_at.is_(None), CashPlanRow.keeps_until > func.now())
_RAISED = exists().where(
    Attempt.event_id == CashPlanRow.event_id,
    Attempt.outcome == Outcome.SUCCEEDED,
    Attempt.kind == RebalanceMode.RAISE_CASH,
    Attempt.amount >= CashPlanRow.amount,
    Attempt.observed_generation >= CashPlanRow.request_no,
)
DUE = exists().where(*_OPEN, CashPlanRow.event_id.is_(None), CashPlanRow.sells_at <= func.now())
"""Without one :func:`due` finds nothing."""


def kept_cash() -> ScalarSelect[Any]:
    """USD that were raised for an event's account and are not to be invested; part of the claim's own statement."""
    kept = func.coalesce(func.sum(CashPlanRow.amount), 0)
    return select(kept).where(CashPlanRow.account_id == Event.account_id, *_OPEN, _RAISED).scalar_subquery()


def add(
    session: Session, account_id: str, amount: Decimal, *, by: date, sells_at: datetime, created_by: str
) -> CashPlan:
    """Put one on record."""
    row = CashPlanRow(
        account_id=account_id,
        amount=amount,
        by=by,
        sells_at=sells_at,
        keeps_until=day_start(by + timedelta(days=1)),
        created_by=created_by,
    )
    session.add(row)
    session.flush()
    return _view(row, raised=False)


def in_force(session: Session, account_id: str | None = None) -> list[CashPlan]:
    """Those whose day has not passed, the next sale first."""
    rows = _of(*_OPEN, *([] if account_id is None else [CashPlanRow.account_id == account_id]))
    return [_view(row, raised=raised) for row, raised in session.execute(rows)]


def due(session: Session) -> list[CashPlan]:
    """Those that are to be asked for, one of an account at a time: of several sums in one event the largest would serve
    all.
    """
    rows = session.execute(_of(*_OPEN, CashPlanRow.sells_at <= func.now())).all()
    under_way = {row.account_id for row, raised in rows if row.event_id is not None and not raised}
    first: dict[str, CashPlan] = {}
    for row, raised in rows:
        if row.event_id is None and row.account_id not in under_way:
            first.setdefault(row.account_id, _view(row, raised=raised))
    return list(first.values())


def asked(session: Session, plan_id: int, event_id: UUID, request_no: int) -> None:
    """Its signal is on record, and that event serves it."""
    session.execute(
        update(CashPlanRow)
        .where(CashPlanRow.id == plan_id, CashPlanRow.event_id.is_(None))
        .values(event_id=event_id, request_no=request_no)
    )


def end(session: Session, plan_id: int, by: str) -> CashPlan | None:
    """It is not wanted any more: what was raised is free to be invested.

    Returns:
        How far it was; ``None`` when none of that number is in force.
    """
    found = session.execute(_of(*_OPEN, CashPlanRow.id == plan_id).with_for_update(of=CashPlanRow)).one_or_none()
    if found is None:
        return None
    row, raised = found
    row.ended_at, row.ended_by = func.now(), by
    return _view(row, raised=raised)


def _of(*which: ColumnElement[bool]) -> Select[CashPlanRow, bool]:
    return select(CashPlanRow, _RAISED).where(*which).order_by(CashPlanRow.sells_at, CashPlanRow.id)


def _view(row: CashPlanRow, *, raised: bool) -> CashPlan:
    waiting = CashPlanState.PLANNED if row.event_id is None else CashPlanState.ASKED
    return CashPlan(
        id=row.id,
        account_id=row.account_id,
        amount=row.amount,
        by=row.by,
        sells_at=row.sells_at,
        state=CashPlanState.RAISED if raised else waiting,
        event_id=row.event_id,
        created_by=row.created_by,
    )
