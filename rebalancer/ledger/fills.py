"""Orders' progress as their rows have it: what is read before reports are folded, and written after."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, select

from rebalancer.domain.order_progress import OrderProgress
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, Fill, OrderUpdate, split_execution_id
from rebalancer.domain.portfolio import Side
from rebalancer.ledger.models import FillRow, Order
from rebalancer.ledger.session import Session

PLANNED = "Planned"
"""Of an order that the broker has not spoken of."""
Executions = dict[str, FillRow]
"""Of one order, by IBKR's execution id without revision."""


def fill_of(row: FillRow | Row[Any], contract_id: int = 0) -> Fill:
    """An execution on record."""
    return Fill(
        order_ref=row.order_ref,
        execution_id=execution_id(row),
        at=row.at,
        account_id=row.account_id,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        price=row.price,
        cumulative_quantity=row.quantity,
        perm_id=0,
        contract_id=contract_id,
    )


def execution_id(row: FillRow | Row[Any]) -> str:
    """IBKR's, as far as it names the execution and its revision."""
    return f"{row.execution}.{row.revision}"


def order_refs_of(session: Session, reports: Sequence[OrderUpdate]) -> frozenset[str]:
    """Refs of the orders that reports are of; a commission names its execution alone."""
    named = {one.order_ref for one in reports if not isinstance(one, CommissionReport)}
    told = {split_execution_id(one.execution_id)[0] for one in reports if isinstance(one, Fill)}
    charged = {split_execution_id(one.execution_id)[0] for one in reports if isinstance(one, CommissionReport)} - told
    executed = session.scalars(select(FillRow.order_ref).where(FillRow.execution.in_(charged))) if charged else ()
    return frozenset(named.union(executed))


def executions_of(session: Session, orders: Collection[Order]) -> dict[str, Executions]:
    """By order ref, of orders that nobody else changes meanwhile."""
    found = {order.order_ref: Executions() for order in orders}
    heard_of = [order.order_ref for order in orders if not _untouched(order)]
    if heard_of:
        chosen = select(FillRow).where(FillRow.order_ref.in_(heard_of)).execution_options(populate_existing=True)
        for row in session.scalars(chosen):
            found[row.order_ref][row.execution] = row
    return found


def _untouched(order: Order) -> bool:
    """As it was intended: nothing was put on record since, so that there is no execution of it."""
    return order.status == PLANNED and order.order_id is None and not order.filled and not order.stated


def progress_of(order: Order, executions: Executions) -> OrderProgress:
    """As it is on record. What a commission is a revision of is not: it counts as that of its execution."""
    known = order.status in frozenset(OrderStatus)
    return OrderProgress(
        status=OrderStatus(order.status) if known else OrderStatus.API_PENDING,
        stated=order.stated,
        perm_id=order.perm_id or 0,
        fills={execution: fill_of(row) for execution, row in executions.items()},
        commissions={
            execution: CommissionReport(execution_id(row), row.commission, row.currency or "", row.realized)
            for execution, row in executions.items()
            if row.commission is not None
        },
    )


def record(session: Session, order: Order, executions: Executions, progress: OrderProgress) -> None:
    """Write what has changed. Account, symbol and side are the order's: an execution lacks them at times."""
    before = progress_of(order, executions)
    for execution, fill in progress.fills.items():
        row = executions.get(execution) or _added(session, order, execution)
        if fill != before.fills.get(execution):
            row.revision = split_execution_id(fill.execution_id)[1]
            row.at, row.quantity, row.price = fill.at, fill.quantity, fill.price
        charged = progress.commissions.get(execution)
        if charged is not None and charged != before.commissions.get(execution):
            row.commission, row.currency, row.realized = charged.commission, charged.currency, charged.realized
    order.stated, order.filled = progress.stated, progress.filled


def _added(session: Session, order: Order, execution: str) -> FillRow:
    row = FillRow(
        order_ref=order.order_ref,
        execution=execution,
        account_id=order.account_id,
        symbol=order.symbol,
        security_type=order.security_type,
        side=order.side,
    )
    session.add(row)
    return row
