"""Implementation shortfall of one order, and of several together (Perold, *The Implementation Shortfall*, 1988)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Self
from uuid import UUID

from rebalancer.domain.money import HALF, ONE, ZERO
from rebalancer.domain.portfolio import Side
from rebalancer.domain.units import NO_USD, Usd

BASIS_POINTS = Decimal(10_000)
PARTS = ("delay", "spread", "impact", "commission")
"""Of a :class:`Shortfall`, in the order in which they arise."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The quote that a run had when it decided, USD per share."""

    bid: Decimal
    ask: Decimal

    @classmethod
    def read(cls, bid: str | None, ask: str | None) -> Self | None:
        """From a record; ``None`` without two sides."""
        return None if bid is None or ask is None else cls(Decimal(bid), Decimal(ask))

    @property
    def mid(self) -> Decimal:
        """The arrival price: what the order is measured against."""
        return (self.bid + self.ask) * HALF

    def touch(self, side: Side) -> Decimal:
        """What a market order would have got at once."""
        return self.ask if side is Side.BUY else self.bid


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order as the ledger has it, its executions added up.

    Attributes:
        at: when it was intended.
        quantity: shares that were asked for.
        sized_at: the touch when it was sized, a moment before it was sent.
        quote: at the first plan of its run; ``None`` where none is on record.
        shares: that executions were told of.
        paid: shares times price over its executions, whatever the side.
        commission: USD, as far as known.
        usd: for one unit of what prices are in; 1 but of pairs such as USD.CHF.
        incomplete: more was filled than executions were told of, or a commission is not known in USD.
        style: how it was worked; one that ORDER_TYPE alone decided is ``market`` or ``limit``.
        instead_of: the style that it would have had.
        chosen: a style was asked for.
        ended_at: its last execution.
    """

    order_ref: str
    event_id: UUID
    attempt: int
    account_id: str
    symbol: str
    side: Side
    at: datetime
    quantity: int
    sized_at: Decimal
    quote: Decided | None
    shares: Decimal = ZERO
    paid: Decimal = ZERO
    commission: Usd = NO_USD
    usd: Decimal = ONE
    incomplete: bool = False
    style: str = ""
    instead_of: str | None = None
    chosen: bool = False
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """USD that executions cost more (+) or less than their shares were worth at the arrival price, by cause.

    Attributes:
        worth: the shares at the arrival price.
        delay: by which the touch had moved from the decision until the order was sized.
        spread: from the middle to the touch at the decision.
        impact: from the touch when it was sized to the prices of the executions.
    """

    worth: Usd = NO_USD
    delay: Usd = NO_USD
    spread: Usd = NO_USD
    impact: Usd = NO_USD
    commission: Usd = NO_USD

    @property
    def total(self) -> Usd:
        """All of it: the parts leave nothing over."""
        return Usd(self.delay + self.spread + self.impact + self.commission)

    def basis_points(self, part: Usd | None = None) -> Decimal | None:
        """Hundredths of a percent of what was traded, of a part or of the whole; ``None`` where nothing was."""
        return (self.total if part is None else part) / self.worth * BASIS_POINTS if self.worth else None

    def __add__(self, other: Self) -> Shortfall:
        return Shortfall(
            Usd(self.worth + other.worth),
            Usd(self.delay + other.delay),
            Usd(self.spread + other.spread),
            Usd(self.impact + other.impact),
            Usd(self.commission + other.commission),
        )


def measure(order: SentOrder) -> Shortfall | None:
    """An order's shortfall; ``None`` where nothing was executed, or no quote says what it was decided at."""
    quote = order.quote
    if quote is None or not order.shares:
        return None
    mid, touch, shares = quote.mid, quote.touch(order.side), order.shares
    signed = order.side.sign * order.usd
    return Shortfall(
        worth=Usd(shares * mid * order.usd),
        delay=Usd(signed * shares * (order.sized_at - touch)),
        spread=Usd(signed * shares * (touch - mid)),
        impact=Usd(signed * (order.paid - shares * order.sized_at)),
        commission=order.commission,
    )
