"""Numbers of one unit each, told apart by mypy: an amount is no quantity, and a percentage no ratio.

Where two of them stand side by side, or one becomes another, they have their type; a price is a plain ``Decimal``, USD
per share, and so is what a formula has on its way. At run time each is the ``Decimal`` that it was made from, neither
rounded nor checked.

Arithmetic gives a ``Decimal`` again, whatever went in: mypy cannot know that shares times a price are USD. So say the
unit once, where a result leaves its function: ``return Usd(shares * price)``. A percentage becomes a
fraction in :func:`ratio` alone, and words in :func:`percent_text`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NewType

from rebalancer.domain.money import HUNDRED, ZERO

Usd = NewType("Usd", Decimal)
"""An amount of money."""
Shares = NewType("Shares", Decimal)
"""A quantity that is held or aimed at, perhaps fractional; that of an order is an ``int``."""
Percent = NewType("Percent", Decimal)
"""As people write it: 100 is the whole. It lives in files and settings only."""
Ratio = NewType("Ratio", Decimal)
"""A fraction, of which 1 is the whole: weights, drift, bands, tolerances."""

NO_USD = Usd(ZERO)
NO_SHARES = Shares(ZERO)
NO_RATIO = Ratio(ZERO)


def ratio(percent: Percent) -> Ratio:
    """A percentage as a fraction."""
    return Ratio(percent / HUNDRED)


def percent_text(fraction: Ratio, places: int = 1) -> str:
    """A fraction as people read it: ``21.4 %``."""
    return f"{fraction * HUNDRED:.{places}f} %"
