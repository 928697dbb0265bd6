"""One event from signal to last fill: "why did it trade?" answered from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from rebalancer.domain.money import ZERO
from rebalancer.ledger.models import Attempt, FillRow, Order, Signal, SignalEvent, SnapshotRow
from rebalancer.ledger.session import Session
from rebalancer.planning.weights import WeightLine, weigh


@dataclass(frozen=True, slots=True)
class RunReport:
    """The newest attempt of an event.

    Attributes:
        received_at: arrival of the newest signal that it served.
        plan / result: as the attempt recorded them; ``None`` when it did not get that far.
        before / after: weights, cash last.
        orders: number of orders sent.
        commissions: USD.
    """

    event_id: UUID
    attempt: int
    outcome: str | None
    error: str | None
    received_at: datetime
    started_at: datetime
    finished_at: datetime | None
    plan: dict[str, Any] | None
    result: dict[str, Any] | None
    before: tuple[WeightLine, ...]
    after: tuple[WeightLine, ...]
    orders: int
    commissions: Decimal

    @property
    def seconds(self) -> float | None:
        """From the signal's arrival to the recorded outcome."""
        return None if self.finished_at is None else (self.finished_at - self.received_at).total_seconds()


def run_report(session: Session, event_id: UUID) -> RunReport | None:
    """The newest attempt, or ``None`` before the first."""
    attempt = session.scalars(
        select(Attempt).where(Attempt.event_id == event_id).order_by(Attempt.number.desc()).limit(1)
    ).one_or_none()
    if attempt is None:
        return None
    orders, commissions = session.execute(
        select(func.count(Order.order_ref.distinct()), func.sum(FillRow.commission).filter(FillRow.currency == "USD"))
        .outerjoin(FillRow, FillRow.order_ref == Order.order_ref)
        .where(Order.event_id == event_id, Order.attempt == attempt.number)
    ).one()
    return RunReport(
        event_id=event_id,
        attempt=attempt.number,
        outcome=attempt.outcome,
        error=attempt.error,
        received_at=_received(session, attempt),
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        plan=attempt.plan,
        result=attempt.result,
        before=_weights(session, attempt, "before"),
        after=_weights(session, attempt, "after"),
        orders=orders,
        commissions=commissions or ZERO,
    )


def _received(session: Session, attempt: Attempt) -> datetime:
    newest = select(func.max(Signal.received_at)).join(SignalEvent, SignalEvent.signal_id == Signal.id)
    served = newest.where(
        SignalEvent.event_id == attempt.event_id, SignalEvent.request_no <= attempt.observed_generation
    )
    return session.scalars(served).one() or attempt.started_at


def _weights(session: Session, attempt: Attempt, moment: str) -> tuple[WeightLine, ...]:
    row = session.scalars(
        select(SnapshotRow)
        .where(
            SnapshotRow.event_id == attempt.event_id,
            SnapshotRow.attempt == attempt.number,
            SnapshotRow.moment == moment,
        )
        .order_by(SnapshotRow.id.desc())
        .limit(1)
    ).one_or_none()
    return () if row is None else weigh(attempt.plan, row.positions, row.cash)
