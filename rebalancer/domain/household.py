"""Trades of all accounts of one installation, which one taxpayer is taken to own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from rebalancer.domain.portfolio import Side
from rebalancer.domain.units import Shares, Usd


class WashSales(StrEnum):
    """What becomes of an order that would make a loss one that the tax office does not count."""

    OFF = "off"
    WARN = "warn"
    HOLD = "hold"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Trade:
    """An execution.

    Attributes:
        price: USD per share.
        commission: USD.
        realized: gain or loss that the broker has booked for it, USD; ``None`` where it closed nothing or is not known.
    """

    account_id: str
    symbol: str
    side: Side
    at: datetime
    quantity: Shares
    price: Decimal
    commission: Usd
    realized: Usd | None = None


@dataclass(frozen=True, slots=True)
class StatedLot:
    """Shares of one purchase that a sale has closed, as the broker's statement has it.

    Attributes:
        closed_at: when they were sold, to the second.
        opened: day of the purchase; ``None`` where it does not say.
        cost: USD, commission included.
        realized: gain (+) or loss, USD.
    """

    account_id: str
    symbol: str
    closed_at: datetime
    opened: date | None
    quantity: Shares
    cost: Usd
    realized: Usd


@dataclass(frozen=True, slots=True)
class Intention:
    """A buy of a plan that is not carried out yet."""

    account_id: str
    symbol: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Household:
    """What is known of all accounts.

    Attributes:
        trades: executions, oldest first.
        intentions: of other accounts' runs that are under way or whose plan waits for a person.
    """

    trades: Sequence[Trade]
    intentions: Sequence[Intention] = ()
