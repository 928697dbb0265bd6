"""The whole-share purchase that leaves the least deviation from target within the cash.

Each name may be bought up to the whole number nearest to its shortfall; of a name that trades in lots up to the nearest
multiple of them, and wherever the modules here speak of shares, these are its lots. Dropping shares from there costs
deviation and saves cash: a covering knapsack, solved exactly by :mod:`~rebalancer.planning.whole_shares.search` around
the linear relaxation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import localcontext
from fractions import Fraction

from rebalancer.domain.money import EXACT
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.domain.units import NO_RATIO, NO_USD, Ratio, Usd
from rebalancer.planning.whole_shares.ladders import Ladder, Scale, Want, outlay, total_cost
from rebalancer.planning.whole_shares.relaxation import relax
from rebalancer.planning.whole_shares.search import search

__all__ = ["Purchase", "Want", "choose", "outlay"]


@dataclass(frozen=True, slots=True)
class Purchase:
    """Whole shares to buy, by symbol, zeros included.

    Attributes:
        gap: USD of deviation by which a better purchase is not ruled out; zero when this one is proven best.
    """

    quantities: Mapping[str, int]
    gap: Usd = NO_USD


def choose(wants: Sequence[Want], cash: Usd, fees: FeeSchedule, kept: Ratio = NO_RATIO) -> Purchase:
    """Choose the purchase with the smallest total deviation whose :func:`outlay` fits into ``cash``.

    No affordable share that would reduce the deviation is ever left out. Where rounding up is all that cash does not
    allow, the choice is proven best. Where cash is truly short of the wants, many near-equal choices exist: the search
    is bounded, and ``gap`` says what it did not rule out. The choice does not depend on the order of ``wants``.

    Args:
        wants: one per symbol.
        cash: USD above the reserve; nothing is bought if it is negative.
        kept: see :func:`outlay`.
    """
    ordered = sorted(wants, key=lambda want: want.symbol)
    with localcontext(EXACT):
        scale = Scale.fitting(ordered, cash, fees, kept)
        ladders = [Ladder.of(want, fees, kept, scale) for want in ordered]
        quantities, gap = _best(ladders, scale.floor(cash))
        shares = {want.symbol: lots * want.lot for want, lots in zip(ordered, quantities, strict=True)}
        return Purchase(shares, scale.usd(gap))


def _best(ladders: Sequence[Ladder], cash: int) -> tuple[list[int], Fraction]:
    """Quantities, and the deviation by which a better choice is not ruled out."""
    wanted = [ladder.wanted for ladder in ladders]
    if total_cost(ladders, wanted) <= cash:
        return wanted, Fraction(0)
    if cash <= 0:
        return [0] * len(ladders), Fraction(0)
    return search(ladders, cash, relax(ladders, cash))
