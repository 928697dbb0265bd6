"""Realized gains by tax year: first in, first out, from the executions on record. Pure.

Shares that were held before the first execution on record have no lot here: of them the broker's own figure counts.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from rebalancer.domain.household import Trade
from rebalancer.domain.money import ZERO, cents
from rebalancer.domain.portfolio import Side
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.domain.units import Shares, Usd


@dataclass(frozen=True, slots=True)
class Gain:
    """Shares that were sold out of one lot.

    Attributes:
        opened: day on which they were bought; ``None`` before the first execution on record.
        proceeds: USD, commission taken off.
        cost: USD, commission included; ``None`` where nobody says.
        broker: what the broker has booked for these shares, USD; ``None`` where it did not say.
    """

    account_id: str
    symbol: str
    opened: date | None
    closed: date
    quantity: Shares
    proceeds: Usd
    cost: Usd | None
    broker: Usd | None = None

    @property
    def gain(self) -> Usd | None:
        """USD; negative: a loss; ``None`` where neither the lot nor the broker tells."""
        return self.broker if self.cost is None else Usd(self.proceeds - self.cost)

    @property
    def long_term(self) -> bool | None:
        """Held for more than a year (26 U.S.C. 1222); ``None`` where that is not known."""
        return None if self.opened is None else _a_year_later(self.opened) < self.closed


@dataclass(frozen=True, slots=True)
class _Lot:
    """Shares that are left of a buy, and what they cost, commission included."""

    opened: date
    quantity: Decimal
    cost: Decimal


def gains(trades: Iterable[Trade]) -> Iterator[Gain]:
    """What each sale realized, lot by lot.

    Args:
        trades: of whichever accounts, in order of time.
    """
    lots: dict[tuple[str, str], deque[_Lot]] = defaultdict(deque)
    for one in trades:
        mine = lots[one.account_id, one.symbol]
        if one.side is Side.BUY:
            mine.append(_Lot(trading_day(one.at), one.quantity, one.quantity * one.price + one.commission))
        else:
            yield from _sold(one, mine)


def of_year(found: Iterable[Gain], year: int) -> list[Gain]:
    """Those that were realized in it, in New York's calendar."""
    return [one for one in found if one.closed.year == year]


def _sold(sale: Trade, lots: deque[_Lot]) -> Iterator[Gain]:
    """Amounts are of whole cents, and together those of the sale and of the lots."""
    day, left = trading_day(sale.at), sale.quantity
    proceeds, broker = sale.quantity * sale.price - sale.commission, sale.realized
    while left:
        lot = lots.popleft() if lots else None
        taken = left if lot is None else min(left, lot.quantity)
        cost = None if lot is None else _part(lot.cost, taken, lot.quantity)
        brought, booked = _part(proceeds, taken, left), None if broker is None else _part(broker, taken, left)
        if lot is not None and cost is not None and taken < lot.quantity:
            lots.appendleft(replace(lot, quantity=lot.quantity - taken, cost=lot.cost - cost))
        yield Gain(
            account_id=sale.account_id,
            symbol=sale.symbol,
            opened=None if lot is None else lot.opened,
            closed=day,
            quantity=Shares(taken),
            proceeds=brought,
            cost=cost,
            broker=booked,
        )
        left = Shares(left - taken)
        proceeds -= brought
        broker = None if broker is None or booked is None else Usd(broker - booked)


def _part(amount: Decimal, taken: Decimal, of: Decimal) -> Usd:
    """Of an amount for ``of`` shares what is that of some; all of it for all of them."""
    return Usd(amount if taken == of else cents(amount * taken / of))


def _a_year_later(day: date) -> date:
    """The same day of the next year; of 29 February the 28th."""
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return day.replace(year=day.year + 1, day=28)


def total(found: Iterable[Gain]) -> Usd:
    """USD of those that are known."""
    return Usd(sum((one.gain for one in found if one.gain is not None), ZERO))
