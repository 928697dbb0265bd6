"""Shares that the broker states as filled without telling their executions."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from sqlalchemy import ColumnElement, ScalarSelect, and_, case, func, select

from rebalancer.ledger.models import EXCHANGED, STOCK, FillRow, Order
from rebalancer.ledger.session import Session


def told() -> ColumnElement[Decimal]:
    """Shares of an order's executions, in a query of orders."""
    executed = select(func.coalesce(func.sum(FillRow.quantity), 0)).where(FillRow.order_ref == Order.order_ref)
    return executed.correlate(Order).scalar_subquery()


def executed() -> ColumnElement[Decimal]:
    """USD of an order's executions, in a query of orders."""
    amount = select(func.coalesce(func.sum(FillRow.quantity * FillRow.price), 0))
    return amount.where(FillRow.order_ref == Order.order_ref).correlate(Order).scalar_subquery()


def untold() -> ColumnElement[Decimal]:
    """Shares that count as filled beyond an order's executions, in a query of orders."""
    return Order.filled - told()


def worth() -> ColumnElement[Decimal]:
    """USD of what an order has filled, untold shares at the planned price, in a query of orders."""
    in_dollars = and_(Order.security_type == EXCHANGED, Order.symbol.startswith("USD."))
    return case((in_dollars, Order.filled), else_=executed() + untold() * Order.planned_price)


def notional(*which: ColumnElement[bool]) -> ColumnElement[Decimal]:
    """USD of the untold shares of the orders in stocks that ``which`` names, at the prices that were planned: of all
    that was filled without all that was told, since a sum for each order takes half a second of a day of many.
    """
    chosen = (Order.filled > 0, Order.security_type == STOCK, *which)
    filled = select(func.coalesce(func.sum(Order.filled * Order.planned_price), 0)).where(*chosen)
    told = select(func.coalesce(func.sum(FillRow.quantity * Order.planned_price), 0)).join(
        Order, Order.order_ref == FillRow.order_ref
    )
    return filled.scalar_subquery() - told.where(*chosen).scalar_subquery()


def converted(*which: ColumnElement[bool]) -> ScalarSelect[Decimal]:
    """USD of the conversions of currencies among the orders that ``which`` names, untold ones at the planned price."""
    amount = func.coalesce(func.sum(worth()), 0)
    return select(amount).where(Order.filled > 0, Order.security_type == EXCHANGED, *which).scalar_subquery()


def untold_orders(session: Session, order_refs: Collection[str]) -> list[tuple[Order, Decimal]]:
    """Those of the orders that have untold shares, and how many."""
    found = select(Order, untold()).where(Order.order_ref.in_(list(order_refs)), untold() > 0)
    rows = session.execute(found.execution_options(populate_existing=True))
    return [(order, shares) for order, shares in rows]
