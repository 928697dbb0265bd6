"""One event with everything that is on record about it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from rebalancer.domain.currencies import USD, dollars
from rebalancer.domain.money import ZERO
from rebalancer.domain.order_styles import reason_and_style
from rebalancer.domain.portfolio import BaseCurrency
from rebalancer.ledger.models import Attempt, FillRow, Order, OrderReport, SnapshotRow
from rebalancer.ledger.queries.event_search import EventView, event
from rebalancer.ledger.queries.signals import SignalView, signals_of
from rebalancer.ledger.session import Session
from rebalancer.planning.weights import WeightLine, counted_cash, weigh, weighed

NEWEST_ATTEMPTS = 50
"""More than anybody reads; an event that has been retried for weeks has thousands."""


@dataclass(frozen=True, slots=True)
class ReportView:
    """One status or code that the broker reported."""

    at: datetime
    status: str
    filled: Decimal
    remaining: Decimal
    code: int | None
    text: str | None
    confirmed: bool


@dataclass(frozen=True, slots=True)
class FillView:
    """One execution."""

    execution: str
    at: datetime
    quantity: Decimal
    price: Decimal
    commission: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order from its intent to its last fill."""

    order_ref: str
    symbol: str
    side: str
    quantity: int
    order_type: str
    limit_price: Decimal | None
    time_in_force: str
    planned_price: Decimal
    reason: str
    status: str
    filled: Decimal
    perm_id: int | None
    created_at: datetime
    final_at: datetime | None
    reports: tuple[ReportView, ...]
    fills: tuple[FillView, ...]
    style: str | None = None
    style_why: str | None = None
    style_instead_of: str | None = None

    @property
    def why(self) -> str:
        """Its reason, and how it was worked."""
        return reason_and_style(self.reason, self.style, self.style_why)

    @property
    def notional(self) -> Decimal:
        """USD that its fills moved."""
        return sum((dollars(self.symbol, fill.quantity, fill.price) for fill in self.fills), ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """USD per share, ``None`` without fills."""
        filled = sum((fill.quantity for fill in self.fills), ZERO)
        paid = sum((fill.quantity * fill.price for fill in self.fills), ZERO)
        return paid / filled if filled else None

    @property
    def commission(self) -> Decimal:
        """USD, as far as known and in dollars: that of a conversion is in the account's base currency."""
        known = (fill for fill in self.fills if fill.currency in {None, USD})
        return sum((fill.commission for fill in known if fill.commission is not None), ZERO)


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """The account as the broker reported it, weighed with the plan of its attempt."""

    at: datetime
    net_liquidation: Decimal
    cash: Decimal
    positions: list[dict[str, Any]]
    weights: tuple[WeightLine, ...]
    base: BaseCurrency | None = None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One execution of the event; ``before`` and ``after`` are absent where the run did not get that far."""

    number: int
    worker: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None
    inputs: dict[str, Any] | None
    plan: dict[str, Any] | None
    result: dict[str, Any] | None
    before: SnapshotView | None
    after: SnapshotView | None
    orders: tuple[OrderView, ...]


@dataclass(frozen=True, slots=True)
class EventHistory:
    """An event, the newest signals that it serves, and its newest attempts, each oldest first."""

    event: EventView
    signals: tuple[SignalView, ...]
    attempts: tuple[AttemptView, ...]


def event_history(session: Session, event_id: UUID) -> EventHistory | None:
    """Everything about one event; ``None`` when there is none of that id."""
    found = event(session, event_id)
    if found is None:
        return None
    rows = list(
        session.scalars(
            select(Attempt).where(Attempt.event_id == event_id).order_by(Attempt.number.desc()).limit(NEWEST_ATTEMPTS)
        )
    )[::-1]
    orders = _orders(session, event_id)
    snapshots = _snapshots(session, event_id)
    attempts = tuple(_attempt(row, snapshots, tuple(orders[row.number])) for row in rows)
    return EventHistory(found, tuple(signals_of(session, event_id)), attempts)


def _attempt(row: Attempt, snapshots: dict[tuple[int, str], SnapshotRow], orders: tuple[OrderView, ...]) -> AttemptView:
    return AttemptView(
        number=row.number,
        worker=row.worker,
        started_at=row.started_at,
        finished_at=row.finished_at,
        outcome=row.outcome,
        error=row.error,
        inputs=row.inputs,
        plan=row.plan,
        result=row.result,
        before=_snapshot(row, snapshots.get((row.number, "before"))),
        after=_snapshot(row, snapshots.get((row.number, "after"))),
        orders=orders,
    )


def _snapshots(session: Session, event_id: UUID) -> dict[tuple[int, str], SnapshotRow]:
    rows = session.scalars(select(SnapshotRow).where(SnapshotRow.event_id == event_id).order_by(SnapshotRow.id))
    return {(row.attempt, row.moment): row for row in rows}


def _snapshot(attempt: Attempt, row: SnapshotRow | None) -> SnapshotView | None:
    if row is None:
        return None
    base = BaseCurrency.read(row.base)
    return SnapshotView(
        at=row.at,
        net_liquidation=row.net_liquidation,
        cash=row.cash,
        positions=weighed(attempt.plan, row.positions),
        weights=weigh(attempt.plan, row.positions, counted_cash(attempt.plan, row.cash, base)),
        base=base,
    )


def _orders(session: Session, event_id: UUID) -> defaultdict[int, list[OrderView]]:
    rows = list(
        session.scalars(select(Order).where(Order.event_id == event_id).order_by(Order.created_at, Order.order_ref))
    )
    refs = [row.order_ref for row in rows]
    reports, fills = _reports(session, refs), _fills(session, refs)
    found: defaultdict[int, list[OrderView]] = defaultdict(list)
    for row in rows:
        found[row.attempt].append(_order(row, tuple(reports[row.order_ref]), tuple(fills[row.order_ref])))
    return found


def _order(row: Order, reports: tuple[ReportView, ...], fills: tuple[FillView, ...]) -> OrderView:
    return OrderView(
        order_ref=row.order_ref,
        symbol=row.symbol,
        side=row.side,
        quantity=row.quantity,
        order_type=row.order_type,
        limit_price=row.limit_price,
        time_in_force=row.time_in_force,
        planned_price=row.planned_price,
        reason=row.reason,
        status=row.status,
        filled=row.filled,
        perm_id=row.perm_id,
        created_at=row.created_at,
        final_at=row.final_at,
        reports=reports,
        fills=fills,
        style=row.style,
        style_why=row.style_why,
        style_instead_of=row.style_instead_of,
    )


def _reports(session: Session, refs: list[str]) -> defaultdict[str, list[ReportView]]:
    found: defaultdict[str, list[ReportView]] = defaultdict(list)
    rows = session.scalars(select(OrderReport).where(OrderReport.order_ref.in_(refs)).order_by(OrderReport.id))
    for row in rows:
        view = ReportView(
            at=row.at,
            status=row.status,
            filled=row.filled,
            remaining=row.remaining,
            code=row.code,
            text=row.text,
            confirmed=row.confirmed,
        )
        found[row.order_ref].append(view)
    return found


def _fills(session: Session, refs: list[str]) -> defaultdict[str, list[FillView]]:
    found: defaultdict[str, list[FillView]] = defaultdict(list)
    rows = session.scalars(select(FillRow).where(FillRow.order_ref.in_(refs)).order_by(FillRow.at, FillRow.execution))
    for row in rows:
        view = FillView(
            execution=row.execution,
            at=row.at,
            quantity=row.quantity,
            price=row.price,
            commission=row.commission,
            currency=row.currency,
        )
        found[row.order_ref].append(view)
    return found
