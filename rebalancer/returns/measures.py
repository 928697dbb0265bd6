"""Rates of return over a span of time, from values and what came or went between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.domain.money import HALF, ONE, ZERO
from rebalancer.domain.units import Ratio

YEAR = Decimal("365.25")
"""Days."""
RATE = Decimal("1e-6")
"""Rates are rounded to a hundredth of a basis point."""
_STEPS = 80
_MOST = Decimal(2) ** 40


@dataclass(frozen=True, slots=True)
class Flow:
    """USD that came (+) or went."""

    at: datetime
    amount: Decimal


def money_weighted(
    begin: datetime, start: Decimal, flows: Sequence[Flow], end: datetime, final: Decimal
) -> Ratio | None:
    """The rate over the whole span at which the start and everything that came would have grown to the final value,
    each for as long as it was there: the internal rate of return.

    Args:
        start / final: USD.

    Returns:
        ``None`` where no rate does, or the span has no length.
    """
    length = Decimal((end - begin).total_seconds())
    if length <= 0:
        return None
    parts = [(one.amount, Decimal((end - one.at).total_seconds()) / length) for one in flows]

    def excess(growth: Decimal) -> Decimal:
        """What there would be more (+) than there is, if one USD became ``growth``."""
        return start * growth + sum((amount * growth**left for amount, left in parts), -final)

    low, high = ONE, ONE
    while excess(low) > 0 and low > ONE / _MOST:
        low /= 2
    while excess(high) < 0 and high < _MOST:
        high *= 2
    if excess(low) > 0 or excess(high) < 0:
        return None
    for _ in range(_STEPS):
        middle = (low + high) * HALF
        low, high = (middle, high) if excess(middle) <= 0 else (low, middle)
    return Ratio((high - ONE).quantize(RATE))


def annual(rate: Ratio | None, begin: datetime, end: datetime) -> Ratio | None:
    """A rate over a span as one of a year; ``None`` for less than a year, which says nothing of a whole one."""
    years = Decimal((end - begin).total_seconds()) / 86_400 / YEAR
    if rate is None or years < ONE or rate <= -ONE:
        return None
    return Ratio(((ONE + rate) ** (ONE / years) - ONE).quantize(RATE)) if rate != ZERO else rate
