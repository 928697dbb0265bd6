"""Orders' progress as their rows have it: what is read before reports are folded, and written after."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Row, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from rebalancer.domain.order_progress import OrderProgress
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, Fill, OrderUpdate, split_execution_id
from rebalancer.domain.portfolio import Side
from rebalancer.ledger.models import FillRow, Order
from rebalancer.ledger.prepared import Prepared, Rows
from rebalancer.ledger.session import Session

PLANNED = "Planned"
"""Of an order that the broker has not spoken of."""
Executions = dict[str, Row[Any]]
"""Of one order, by IBKR's execution id without revision."""

_CHANGES = (Order.status, Order.order_id, Order.client_id, Order.perm_id, Order.stated, Order.filled)
_ORDERS_OF = Prepared(
    "orders_of_executions",
    select(FillRow.order_ref).where(FillRow.execution == func.any(bindparam("executions", type_=ARRAY(Text)))),
)
_LOCKED = Prepared(
    "orders_to_change",
    select(Order.order_ref, *_CHANGES, Order.account_id, Order.symbol, Order.security_type, Order.side)
    .where(Order.order_ref == func.any(bindparam("refs", type_=ARRAY(Text))))
    .order_by(Order.order_ref)
    .with_for_update(),
)
_EXECUTIONS_OF = Prepared(
    "executions_of_orders",
    select(FillRow.__table__).where(FillRow.order_ref == func.any(bindparam("refs", type_=ARRAY(Text)))),
)
_CHANGED = Rows(Order.order_ref, *_CHANGES)
_CHANGE = Prepared(
    "change_orders",
    update(Order).where(Order.order_ref == _CHANGED.c.order_ref).values({one: _CHANGED.c[one.key] for one in _CHANGES}),
)
_TOLD = Rows(*(one for one in FillRow.__table__.columns if one.name != "stated"))
_NEWS = ("revision", "at", "quantity", "price", "commission", "currency", "realized")
_put = insert(FillRow).from_select(_TOLD.names, _TOLD.in_order(), include_defaults=False)
_TELL = Prepared(
    "tell_executions",
    _put.on_conflict_do_update(
        index_elements=["order_ref", "execution"], set_={name: _put.excluded[name] for name in _NEWS}
    ),
)


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
    executed = _ORDERS_OF.run(session, {"executions": list(charged)}).scalars() if charged else ()
    return frozenset(named.union(executed))


@dataclass(slots=True)
class HeardOrder:
    """An order while reports of it are folded.

    Attributes:
        row: as it is on record.
        before: its progress on record.
        progress: with what was heard since; the others as well.
    """

    row: Row[Any]
    before: OrderProgress
    progress: OrderProgress
    status: str
    order_id: int | None
    client_id: int | None
    perm_id: int | None

    @classmethod
    def of(cls, row: Row[Any], executions: Executions) -> Self:
        """One of which nothing was heard yet."""
        before = progress_of(row, executions)
        return cls(row, before, before, row.status, row.order_id, row.client_id, row.perm_id)

    def changed(self) -> dict[str, Any]:
        """Its row as it is to be; empty if it is so already."""
        now = {
            "order_ref": self.row.order_ref,
            "status": self.status,
            "order_id": self.order_id,
            "client_id": self.client_id,
            "perm_id": self.perm_id,
            "stated": self.progress.stated,
            "filled": self.progress.filled,
        }
        return {} if all(getattr(self.row, name) == value for name, value in now.items()) else now

    def executed(self) -> Iterator[dict[str, Any]]:
        """Rows of executions that are new or have changed. Account, symbol and side are the order's: an execution lacks
        them at times.
        """
        before = self.before
        for execution, fill in self.progress.fills.items():
            charged = self.progress.commissions.get(execution)
            if (fill, charged) != (before.fills.get(execution), before.commissions.get(execution)):
                yield {
                    "order_ref": self.row.order_ref,
                    "execution": execution,
                    "revision": split_execution_id(fill.execution_id)[1],
                    "account_id": self.row.account_id,
                    "symbol": self.row.symbol,
                    "security_type": self.row.security_type,
                    "side": self.row.side,
                    "at": fill.at,
                    "quantity": fill.quantity,
                    "price": fill.price,
                    "commission": charged and charged.commission,
                    "currency": charged and charged.currency,
                    "realized": charged and charged.realized,
                }


def locked(session: Session, refs: Collection[str]) -> dict[str, HeardOrder]:
    """Orders by ref, which nobody else changes until the transaction ends."""
    rows = _LOCKED.rows(session, {"refs": list(refs)})
    executions = {row.order_ref: Executions() for row in rows}
    if heard_of := [row.order_ref for row in rows if not _untouched(row)]:
        for row in _EXECUTIONS_OF.rows(session, {"refs": heard_of}):
            executions[row.order_ref][row.execution] = row
    return {row.order_ref: HeardOrder.of(row, executions[row.order_ref]) for row in rows}


def _untouched(order: Row[Any]) -> bool:
    """As it was intended: nothing was put on record since, so that there is no execution of it."""
    return bool(order.status == PLANNED and order.order_id is None and not order.filled and not order.stated)


def progress_of(order: Row[Any], executions: Executions) -> OrderProgress:
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


def write(session: Session, orders: Collection[HeardOrder]) -> None:
    """What has changed of them."""
    if changed := [row for order in orders if (row := order.changed())]:
        _CHANGE.run(session, _CHANGED.lists(changed))
    if executed := [row for order in orders for row in order.executed()]:
        _TELL.run(session, _TOLD.lists(executed))
    session.expire_all()
