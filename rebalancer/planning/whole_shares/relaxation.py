"""The linear relaxation: what a dollar of cash is worth in dollars of deviation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from rebalancer.planning.whole_shares.ladders import Ladder, most_affordable, total_cost


@dataclass(frozen=True, slots=True)
class Relaxation:
    """Where the relaxation ends.

    Attributes:
        price: deviation per dollar of cash, > 0; the Lagrange multiplier of the cash limit.
        quantities: an affordable purchase next to it.
    """

    price: Fraction
    quantities: Sequence[int]


def relax(ladders: Sequence[Ladder], cash: int) -> Relaxation:
    """Drop shares where a dollar saved costs the least deviation, until the rest is affordable.

    ``cash`` is positive and does not suffice for all that is wanted.
    """
    quantities = [ladder.wanted for ladder in ladders]
    missing = total_cost(ladders, quantities) - cash
    edges = [edge for index, ladder in enumerate(ladders) for edge in _edges(index, ladder)]
    for edge in sorted(edges, key=lambda edge: (edge.price, edge.ladder)):
        ladder = ladders[edge.ladder]
        if edge.saved >= missing:
            limit = ladder.cost(edge.high) - missing
            quantities[edge.ladder] = most_affordable(ladder, edge.low, edge.high, limit)
            return Relaxation(edge.price, quantities)
        quantities[edge.ladder] = edge.low
        missing -= edge.saved
    raise AssertionError("buying nothing is always affordable")


@dataclass(frozen=True, slots=True)
class _Edge:
    """A step down the lower convex hull of one ladder's lost deviation over saved cash."""

    ladder: int
    high: int
    low: int
    saved: int
    price: Fraction


def _edges(index: int, ladder: Ladder) -> Iterator[_Edge]:
    """From all wanted shares down to none; the price rises with every edge.

    Of more shares the fee of each is lower if anything: no corner of the hull lies between none and all but the last.
    """
    corners = sorted({ladder.wanted, max(0, ladder.wanted - 1), 0}, reverse=True)
    if len(corners) > 2 and _price(ladder, *corners[:2]) >= _price(ladder, *corners[1:]):
        del corners[1]
    for high, low in pairwise(corners):
        yield _Edge(
            ladder=index,
            high=high,
            low=low,
            saved=ladder.cost(high) - ladder.cost(low),
            price=_price(ladder, high, low),
        )


def _price(ladder: Ladder, high: int, low: int) -> Fraction:
    """Deviation lost per dollar saved."""
    return Fraction(ladder.loss(low) - ladder.loss(high), ladder.cost(high) - ladder.cost(low))
