"""How durations, rates and gaps are written for a person; amounts and times are in :mod:`api.web.words`."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from api.web import words
from rebalancer.ledger.queries.gaps import GapView


def duration(took: timedelta | None) -> str:
    """``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``, ``3 d 4 h``."""
    if took is None:
        return words.UNKNOWN
    seconds = took.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    whole = round(seconds)
    sizes = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    place = next(place for place, (size, _) in enumerate(sizes) if whole >= size)
    size, unit = sizes[place]
    text = f"{whole // size} {unit}"
    if place + 1 < len(sizes):
        smaller, its_unit = sizes[place + 1]
        text += f" {whole % size // smaller} {its_unit}"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def basis_points(part: Decimal | None, whole: Decimal) -> str:
    """A cost in hundredths of a percent of what was traded: ``1.2 bp``."""
    if part is None or not whole:
        return words.UNKNOWN
    return points(part / whole * 10_000)


def points(basis_points: Decimal) -> str:
    """A cost that is in basis points already: ``1.2 bp``."""
    sign = words.MINUS if round(basis_points, 1) < 0 else ""
    return f"{sign}{abs(basis_points):.1f}\N{NO-BREAK SPACE}bp"


def share_price(usd: Decimal) -> str:
    """USD per share, to the hundredth of a cent where it has one: ``$500.07``, ``$500.0712``."""
    text = f"{usd:,.4f}"
    return f"${text.removesuffix('00')}"


def rate(fraction: Decimal | None) -> str:
    """A return: ``12.34 %``."""
    return words.UNKNOWN if fraction is None else f"{_signed(fraction * 100)}\N{NO-BREAK SPACE}%"


def rate_points(fraction: Decimal) -> str:
    """A difference of returns in hundredths of a percent: ``1.25 bp``."""
    return f"{_signed(fraction * 10_000)}\N{NO-BREAK SPACE}bp"


def _signed(value: Decimal) -> str:
    return f"{words.MINUS if round(value, 2) < 0 else ''}{abs(value):.2f}"


def meaning(gap: GapView) -> str:
    """What a gap asks of the owner."""
    if gap.answered_at is None:
        return (
            "A rebalance may be missing. As soon as the allocations say when the strategy rebalanced, it is answered."
        )
    if gap.command is None:
        return "No account was asked for anything; to rebalance one all the same, do so on its page."
    if gap.command.touches_orders:
        return "Accounts that may have missed a rebalance were asked for it."
    return "Dry runs show what may have been missed, and traded nothing: rebalance the accounts that are to follow."


FILTERS = (duration, basis_points, points, share_price, rate, rate_points, meaning)
"""What the templates call by its name."""
