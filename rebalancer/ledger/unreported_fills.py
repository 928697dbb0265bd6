"""Shares that the broker states as filled without telling their executions."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from sqlalchemy import ColumnElement, ScalarSelect, func, select

from rebalancer.ledger.models import FillRow, Order
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


def notional(*which: ColumnElement[bool]) -> ScalarSelect[Decimal]:
    """USD of the untold shares of the orders that ``which`` names, at the prices that were planned."""
    amount = func.coalesce(func.sum(untold() * Order.planned_price), 0)
    return select(amount).where(Order.filled > 0, *which).scalar_subquery()


def untold_orders(session: Session, order_refs: Collection[str]) -> list[tuple[Order, Decimal]]:
    """Those of the orders that have untold shares, and how many."""
    found = select(Order, untold()).where(Order.order_ref.in_(list(order_refs)), untold() > 0)
    return [(order, shares) for order, shares in session.execute(found)]
