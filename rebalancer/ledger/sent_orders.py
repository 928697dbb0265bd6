"""Orders of ours that the broker still has to account for, or that bear witness to what its lists hold."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, or_, select

from rebalancer.domain.errors import OrderRejected
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import SentOrder
from rebalancer.domain.portfolio import Side
from rebalancer.ledger.models import FillRow, Order, OrderReport
from rebalancer.ledger.orders import NOT_FOUND, REFUSED
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.unreported_fills import untold

_WITNESSES = 3


def _chosen(*which: ColumnElement[bool]) -> Select[Order]:
    """Of one account, oldest first; built once, because every run asks again and again."""
    ours = select(Order).where(Order.account_id == bindparam("account_id"), *which)
    return ours.order_by(Order.created_at, Order.order_ref)


_OPEN = Order.final_at.is_(None)
_TO_EXPLAIN = and_(
    Order.final_at.is_not(None),
    or_(Order.created_at > func.now() - timedelta(days=1), Order.status == REFUSED),
    or_(
        Order.status.in_((*NOT_FOUND, REFUSED)),
        exists().where(FillRow.order_ref == Order.order_ref, FillRow.commission.is_(None)),
        untold() > 0,
    ),
)
_UNRESOLVED = _chosen(_OPEN)
_UNEXPLAINED = _chosen(_TO_EXPLAIN)
_OF_ACCOUNT = Order.account_id == bindparam("account_id")
_AT_REST = Prepared(
    "at_rest", select(~or_(exists().where(_OF_ACCOUNT, _OPEN), exists().where(_OF_ACCOUNT, _TO_EXPLAIN)))
)
_FILLED = _chosen(
    Order.final_at.is_not(None),
    Order.status == OrderStatus.FILLED,
    Order.perm_id.is_not(None),
    Order.created_at > bindparam("since"),
)
_REFUSED = (
    select(Order.order_ref, OrderReport.code, OrderReport.text)
    .join(OrderReport, OrderReport.order_ref == Order.order_ref)
    .where(Order.account_id == bindparam("account_id"), Order.status == REFUSED, OrderReport.code.is_not(None))
    .order_by(Order.order_ref, OrderReport.id)
)


def unresolved_orders(session: Session, account_id: str) -> list[SentOrder]:
    """The account's orders whose outcome is not on record."""
    return _sent_orders(session, _UNRESOLVED, account_id)


def at_rest(session: Session, account_id: str) -> bool:
    """Whether the outcome of each of the account's orders is on record and explained: none is unresolved, unexplained,
    refused or unacknowledged.
    """
    return bool(_AT_REST.scalar(session, {"account_id": account_id}))


def any_unresolved(session: Session) -> bool:
    """Whether any account has such orders."""
    return bool(session.scalar(select(exists().where(Order.final_at.is_(None)))))


def unexplained_orders(session: Session, account_id: str) -> list[SentOrder]:
    """The account's final orders of the last day that the broker may still say something of: orders that it did not
    know, fills whose execution it has not told, and executions without commission; and refused ones of any age.
    """
    return _sent_orders(session, _UNEXPLAINED, account_id)


def refused_orders(session: Session, account_id: str) -> list[OrderRejected]:
    """The account's orders that the broker has refused and perhaps still lists, with its reasons."""
    found = session.execute(_REFUSED, {"account_id": account_id})
    reasons = {ref: OrderRejected(ref, code or 0, text or "") for ref, code, text in found}
    return list(reasons.values())


def perm_ids(session: Session) -> frozenset[int]:
    """The broker's numbers of all accounts' orders, as far back as any gateway lists them."""
    chosen = Order.perm_id > 0, Order.created_at > func.now() - timedelta(days=7)
    return frozenset(session.scalars(select(Order.perm_id).where(*chosen)))


def witnesses(session: Session, account_id: str, since: datetime) -> list[SentOrder]:
    """The account's newest orders of the broker's day that it has filled: its lists must have them."""
    return _sent_orders(session, _FILLED, account_id, since=since)[-_WITNESSES:]


def _sent_orders(session: Session, chosen: Select[Order], account_id: str, **given: datetime) -> list[SentOrder]:
    return [
        SentOrder(
            order_ref=order.order_ref,
            symbol=order.symbol,
            side=Side(order.side),
            quantity=order.quantity,
            intended_at=order.created_at,
            perm_id=order.perm_id or 0,
            client_id=order.client_id,
        )
        for order in session.scalars(chosen, {"account_id": account_id, **given})
    ]
