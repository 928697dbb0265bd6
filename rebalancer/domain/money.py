"""Decimal arithmetic whose rounding direction is in the name."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_DOWN, ROUND_HALF_EVEN, Context, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)
CENT = Decimal("0.01")
HALF = Decimal("0.5")

EXACT = Context(prec=64)
"""Wide enough that products of prices, weights and equity stay exact; independent of the caller's context."""


def floor_shares(shares: Decimal, lot: int = 1) -> int:
    """Whole shares contained in a non-negative quantity, as a multiple of ``lot``."""
    return int((shares / lot).to_integral_value(ROUND_FLOOR)) * lot


def nearest_shares(shares: Decimal, lot: int = 1) -> int:
    """Multiple of ``lot`` nearest to a non-negative quantity, halves down."""
    return int((shares / lot).to_integral_value(ROUND_HALF_DOWN)) * lot


def floor_to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """Highest multiple of ``tick`` that is not above ``price``."""
    return (price / tick).to_integral_value(ROUND_FLOOR) * tick


def ceil_to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """Lowest multiple of ``tick`` that is not below ``price``."""
    return (price / tick).to_integral_value(ROUND_CEILING) * tick


def cents(amount: Decimal) -> Decimal:
    """Nearest cent, ties to even."""
    return amount.quantize(CENT, ROUND_HALF_EVEN)


def optional_text(amount: Decimal | None) -> str | None:
    """For records that keep decimals as text."""
    return None if amount is None else str(amount)


HUNDRED = Decimal(100)
