"""What a run decided and what its orders became."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from rebalancer.ledger.events import Claim
from rebalancer.ledger.models import Attempt, FillRow, Order, OrderReport, SnapshotRow
from rebalancer.ledger.session import Session
from rebalancer.model import AccountSnapshot, ProposedOrder
from rebalancer.money import ZERO
from rebalancer.order_states import OrderStatus, advance
from rebalancer.orders import CommissionReport, Fill, OrderRequest, OrderTrace, OrderUpdate, StatusUpdate

PLANNED = "Planned"
NEVER_SENT = "NeverSent"


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the ledger has it; amounts in USD.

    Attributes:
        average_price: of its fills, ``None`` without any.
        commission: sum of what is known.
    """

    order_ref: str
    symbol: str
    side: str
    quantity: int
    status: str
    filled: Decimal
    average_price: Decimal | None
    commission: Decimal


def record_decision(session: Session, claim: Claim, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
    """Keep what the attempt saw and what it proposes, before anything is sent."""
    session.execute(
        update(Attempt)
        .where(Attempt.event_id == claim.event_id, Attempt.number == claim.attempt)
        .values(inputs=inputs, plan=plan)
    )


def record_snapshot(
    session: Session,
    claim: Claim,
    moment: Literal["before", "after"],
    snapshot: AccountSnapshot,
    positions: Sequence[dict[str, Any]],
) -> None:
    """Keep the account as the broker reported it."""
    session.add(
        SnapshotRow(
            account_id=snapshot.account_id,
            event_id=claim.event_id,
            attempt=claim.attempt,
            moment=moment,
            at=snapshot.at,
            net_liquidation=snapshot.net_liquidation,
            cash=snapshot.cash,
            settled_cash=snapshot.settled_cash,
            available_funds=snapshot.available_funds,
            positions=list(positions),
        )
    )


def record_intents(session: Session, claim: Claim, orders: Iterable[tuple[ProposedOrder, OrderRequest]]) -> None:
    """Commit to order refs; must be committed before any of the orders is sent."""
    for proposed, request in orders:
        session.add(
            Order(
                order_ref=request.order_ref,
                event_id=claim.event_id,
                attempt=claim.attempt,
                account_id=request.account_id,
                symbol=request.symbol,
                contract_id=request.contract_id,
                side=request.side,
                quantity=request.quantity,
                order_type=request.order_type,
                limit_price=request.limit_price,
                time_in_force=request.time_in_force,
                planned_price=proposed.price,
                planned_fee=proposed.fee,
                reason=proposed.reason,
                status=PLANNED,
            )
        )


def record_updates(session: Session, reports: Sequence[OrderUpdate]) -> None:
    """Keep what the broker reported, in order of arrival."""
    refs = {report.order_ref for report in reports if not isinstance(report, CommissionReport)}
    found = session.scalars(select(Order).where(Order.order_ref.in_(refs)).order_by(Order.order_ref).with_for_update())
    orders = {order.order_ref: order for order in found}
    for report in reports:
        match report:
            case StatusUpdate():
                _record_status(session, orders[report.order_ref], report)
            case Fill():
                _record_fill(session, report)
            case CommissionReport():
                _record_commission(session, report)
    for ref in {report.order_ref for report in reports if isinstance(report, Fill)}:
        _sum_fills(session, orders[ref])


def record_trace(session: Session, order_ref: str, trace: OrderTrace | None) -> None:
    """Settle an order whose outcome was unknown; without a trace the broker never saw it."""
    if trace is not None:
        record_updates(session, (*trace.fills, *trace.commissions))
    if trace is None or not trace.open:
        status = NEVER_SENT if trace is None else trace.status
        session.execute(update(Order).where(Order.order_ref == order_ref).values(status=status, settled_at=func.now()))


def settle(session: Session, order_refs: Iterable[str]) -> None:
    """Note that nothing more can follow for these orders."""
    session.execute(update(Order).where(Order.order_ref.in_(list(order_refs))).values(settled_at=func.now()))


def unsettled_refs(session: Session, account_id: str) -> list[str]:
    """Refs of the account's orders whose outcome is not on record."""
    return list(
        session.scalars(
            select(Order.order_ref)
            .where(Order.account_id == account_id, Order.settled_at.is_(None))
            .order_by(Order.created_at, Order.order_ref)
        )
    )


def orders_of(session: Session, claim: Claim) -> tuple[OrderRecord, ...]:
    """The attempt's orders, in order of sending."""
    amount = func.sum(FillRow.quantity * FillRow.price) / func.nullif(func.sum(FillRow.quantity), 0)
    rows = session.execute(
        select(Order, amount, func.sum(FillRow.commission))
        .outerjoin(FillRow, FillRow.order_ref == Order.order_ref)
        .where(Order.event_id == claim.event_id, Order.attempt == claim.attempt)
        .group_by(Order.order_ref)
        .order_by(Order.created_at, Order.order_ref)
    )
    return tuple(
        OrderRecord(o.order_ref, o.symbol, o.side, o.quantity, o.status, o.filled, price, commission or ZERO)
        for o, price, commission in rows
    )


def _record_status(session: Session, order: Order, report: StatusUpdate) -> None:
    session.add(
        OrderReport(
            order_ref=report.order_ref,
            at=report.at,
            status=report.status,
            filled=report.filled,
            remaining=report.remaining,
            code=report.code,
            text=report.text,
            confirmed=report.confirmed,
        )
    )
    if report.confirmed:
        known = OrderStatus(order.status) if order.status in frozenset(OrderStatus) else OrderStatus.API_PENDING
        order.status = advance(known, report.status)
    order.filled = max(order.filled, report.filled)
    order.order_id, order.client_id = report.order_id, report.client_id
    order.perm_id = report.perm_id or order.perm_id


def _record_fill(session: Session, fill: Fill) -> None:
    execution, revision = split_execution_id(fill.execution_id)
    values = {
        "revision": revision,
        "account_id": fill.account_id,
        "symbol": fill.symbol,
        "side": fill.side,
        "at": fill.at,
        "quantity": fill.quantity,
        "price": fill.price,
    }
    session.execute(
        insert(FillRow)
        .values(order_ref=fill.order_ref, execution=execution, **values)
        .on_conflict_do_update(
            index_elements=[FillRow.order_ref, FillRow.execution], set_=values, where=FillRow.revision < revision
        )
    )


def _sum_fills(session: Session, order: Order) -> None:
    """The executions are the truth about what was filled: a correction can lower it."""
    order.filled = (
        session.scalar(select(func.sum(FillRow.quantity)).where(FillRow.order_ref == order.order_ref)) or ZERO
    )


def _record_commission(session: Session, report: CommissionReport) -> None:
    execution, revision = split_execution_id(report.execution_id)
    session.execute(
        update(FillRow)
        .where(
            FillRow.execution == execution,
            or_(FillRow.revision == revision, and_(FillRow.revision < revision, FillRow.commission.is_(None))),
        )
        .values(commission=report.commission, currency=report.currency)
    )


def split_execution_id(execution_id: str) -> tuple[str, int]:
    """IBKR's execution id without and with its last dotted part: a higher one corrects the same execution.

    >>> split_execution_id("0000e0d5.00000001.01.02")
    ('0000e0d5.00000001.01', 2)
    """
    base, _, revision = execution_id.rpartition(".")
    return (base, int(revision)) if base and revision.isdigit() else (execution_id, 0)
