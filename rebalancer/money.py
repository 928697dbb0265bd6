"""Decimal arithmetic whose rounding direction is in the name."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)
CENT = Decimal("0.01")
HALF = Decimal("0.5")


def floor_shares(shares: Decimal) -> int:
    """Whole shares contained in a non-negative quantity."""
    return int(shares.to_integral_value(ROUND_FLOOR))


def floor_to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """Highest multiple of ``tick`` that is not above ``price``."""
    return (price / tick).to_integral_value(ROUND_FLOOR) * tick


def ceil_to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """Lowest multiple of ``tick`` that is not below ``price``."""
    return (price / tick).to_integral_value(ROUND_CEILING) * tick


def cents(amount: Decimal) -> Decimal:
    """Nearest cent, ties to even."""
    return amount.quantize(CENT, ROUND_HALF_EVEN)
