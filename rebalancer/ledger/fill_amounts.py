"""What executions moved, in dollars: of stocks, and of currencies, whose price and commission may be in another one."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import ColumnElement, and_, case

from rebalancer.domain.currencies import USD
from rebalancer.ledger.models import EXCHANGED, FillRow


def value() -> ColumnElement[Decimal]:
    """USD that an execution exchanged, in a query of executions: of a pair such as USD.CHF its quantity."""
    in_dollars = and_(FillRow.security_type == EXCHANGED, FillRow.symbol.startswith(f"{USD}."))
    return case((in_dollars, FillRow.quantity), else_=FillRow.quantity * FillRow.price)


def commission() -> ColumnElement[Decimal | None]:
    """USD of its commission, at its own price where IBKR has charged a conversion in the other currency; NULL where it
    is not known in dollars.
    """
    return case(
        (FillRow.currency == USD, FillRow.commission),
        (FillRow.symbol == FillRow.currency + f".{USD}", FillRow.commission * FillRow.price),
        (FillRow.symbol == f"{USD}." + FillRow.currency, FillRow.commission / FillRow.price),
    )
