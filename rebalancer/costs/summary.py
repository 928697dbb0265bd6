"""Orders' shortfalls together, by run, month, account or symbol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal, localcontext
from enum import StrEnum
from statistics import quantiles

from rebalancer.costs.shortfall import SentOrder, Shortfall, measure
from rebalancer.domain.money import EXACT, ZERO
from rebalancer.domain.units import NO_USD, Ratio, Usd

TOGETHER = "all"


class By(StrEnum):
    """What orders are put together by."""

    RUN = "run"
    MONTH = "month"
    ACCOUNT = "account"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of the orders' shortfalls in basis points, each order counting alike; between two orders, in proportion."""

    p10: Decimal
    p50: Decimal
    p90: Decimal


@dataclass(frozen=True, slots=True)
class CostSummary:
    """What several orders cost.

    Attributes:
        key: month as ``2026-10``, account, symbol; of a run the event's id and the attempt's number.
        orders: that were measured.
        asked: USD of all that orders with a quote asked for, at the arrival price.
        without_quote: executed orders without a quote on record: they are in no amount.
        incomplete: measured orders that may have cost more or less than is said, see
            :class:`~rebalancer.costs.shortfall.SentOrder`.
    """

    key: str
    orders: int
    shortfall: Shortfall
    percentiles: Percentiles | None
    asked: Usd
    without_quote: int
    incomplete: int

    @property
    def filled(self) -> Ratio | None:
        """Part of what was asked for that was executed."""
        return Ratio(self.shortfall.worth / self.asked) if self.asked else None


@dataclass(frozen=True, slots=True)
class Costs:
    """What orders cost together, and by what they were put together: months and runs the newest first, others the
    dearest first.
    """

    together: CostSummary
    parts: tuple[CostSummary, ...]


@dataclass(slots=True)
class Sums:
    """A summary on its way."""

    shortfall: Shortfall = field(default_factory=Shortfall)
    basis_points: list[Decimal] = field(default_factory=list)
    asked: Usd = NO_USD
    without_quote: int = 0
    incomplete: int = 0

    def add(self, order: SentOrder) -> None:
        """Take one order in."""
        if order.quote is None:
            self.without_quote += bool(order.shares)
            return
        self.asked = Usd(self.asked + order.quantity * order.quote.mid * order.usd)
        one = measure(order)
        if one is not None:
            self.shortfall += one
            self.basis_points.append(one.basis_points() or ZERO)
            self.incomplete += order.incomplete

    def summary(self, key: str) -> CostSummary:
        """What they come to."""
        return CostSummary(
            key=key,
            orders=len(self.basis_points),
            shortfall=self.shortfall,
            percentiles=percentiles(self.basis_points),
            asked=self.asked,
            without_quote=self.without_quote,
            incomplete=self.incomplete,
        )


def percentiles(values: Sequence[Decimal]) -> Percentiles | None:
    """``None`` without any."""
    if not values:
        return None
    tenths = quantiles(values, n=10, method="inclusive") if len(values) > 1 else [values[0]] * 9
    return Percentiles(tenths[0], tenths[4], tenths[8])


def together(orders: Iterable[SentOrder]) -> CostSummary:
    """All of them."""
    return summarize(orders, By.ACCOUNT).together


def summarize(orders: Iterable[SentOrder], by: By) -> Costs:
    """What orders cost.

    Args:
        orders: the oldest first.
    """
    key, whole, parts = _KEYS[by], Sums(), dict[str, Sums]()
    with localcontext(EXACT):
        for order in orders:
            whole.add(order)
            parts.setdefault(key(order), Sums()).add(order)
        found = [sums.summary(one) for one, sums in parts.items()]
    if by in _IN_TIME:
        found.reverse()
    else:
        found.sort(key=lambda one: (-one.shortfall.total, one.key))
    return Costs(whole.summary(TOGETHER), tuple(found))


def run_key(order: SentOrder) -> str:
    """The event's id and the number of its attempt."""
    return f"{order.event_id}/{order.attempt}"


def month_of(order: SentOrder) -> str:
    """Of UTC, ``2026-10``."""
    return f"{order.at.astimezone(UTC):%Y-%m}"


_IN_TIME = frozenset({By.MONTH, By.RUN})
_KEYS: Mapping[By, Callable[[SentOrder], str]] = {
    By.RUN: run_key,
    By.MONTH: month_of,
    By.ACCOUNT: lambda order: order.account_id,
    By.SYMBOL: lambda order: order.symbol,
}
