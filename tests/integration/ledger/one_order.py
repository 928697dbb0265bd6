"""One order of a run, and what the broker may say of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import Fill, OrderTrace, StatusUpdate
from rebalancer.domain.portfolio import Side
from rebalancer.ledger.models import Order, OrderReport
from rebalancer.ledger.session import Session

NOW = datetime.now(UTC)
LONG_AGO, LATELY = NOW - timedelta(days=2), NOW - timedelta(minutes=1)
REF, QUANTITY, PRICE = "ref-1", 198, Decimal(100)


def status(filled: int, named: OrderStatus = OrderStatus.FILLED) -> StatusUpdate:
    return StatusUpdate(REF, NOW, named, Decimal(filled), Decimal(QUANTITY - filled), 4, 7, 99)


def fill(quantity: int, total: int, execution: str = "e.1.01", price: str = "101") -> Fill:
    return Fill(REF, execution, NOW, "", "", Side.SELL, Decimal(quantity), Decimal(price), Decimal(total), 99)


def trace(stated: int, *fills: Fill, likely: bool = False) -> OrderTrace:
    return OrderTrace(REF, OrderStatus.FILLED, False, 99, fills, (), Decimal(stated), by_likeness=likely)


def the_order(session: Session) -> Order:
    session.flush()
    return session.get_one(Order, REF)


def remarks(session: Session) -> list[str | None]:
    session.flush()
    return list(session.scalars(select(OrderReport.text).where(OrderReport.text.is_not(None)).order_by(OrderReport.id)))
