"""The whole-share purchase that leaves the least deviation from target within the cash.

Each name may be bought up to the whole number nearest to its shortfall. Dropping shares from there costs deviation and
saves cash: a covering knapsack. Prices are made whole numbers, so every comparison is exact.

A Lagrange multiplier, from the linear relaxation, prices a dollar of cash in dollars of deviation. Measured with it,
each choice has a regret >= 0, and a purchase is worse than the relaxation by exactly its regrets plus the price of the
cash it leaves idle. Only choices with less regret than the best purchase known can be part of a better one; they are
few, and searched name by name, keeping the undominated combinations.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from rebalancer.model import FeeSchedule
from rebalancer.money import EXACT, ONE, ZERO, nearest_shares

WIDTHS = (32, 512, 4096)
"""Combinations kept per name, in successive searches; the search ends with the first that had to drop none."""
EFFORT = 400_000
"""Combinations looked at in one search before it settles for the best found, about half a second."""


@dataclass(frozen=True, slots=True)
class Want:
    """A name below its target.

    Attributes:
        shortfall: shares, positive.
        value: USD by which one share reduces the deviation.
        price: USD that one share costs.
    """

    symbol: str
    shortfall: Decimal
    value: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Purchase:
    """Whole shares to buy, by symbol, zeros included.

    Attributes:
        gap: USD of deviation by which a better purchase is not ruled out; zero when this one is proven best.
    """

    quantities: Mapping[str, int]
    gap: Decimal = ZERO


def outlay(quantity: int, want: Want, fees: FeeSchedule, kept: Decimal) -> Decimal:
    """Spendable cash that a buy uses up, USD.

    Args:
        kept: fraction of equity that stays cash. A buy's spread and fee lower equity and thereby that reserve, so
            only the rest of them, ``1 - kept``, weighs on the cash above it.
    """
    return _unit_outlay(want, kept) * quantity + (ONE - kept) * fees.estimate(quantity, want.price)


def choose(wants: Sequence[Want], cash: Decimal, fees: FeeSchedule, kept: Decimal = ZERO) -> Purchase:
    """Choose the purchase with the smallest total deviation whose :func:`outlay` fits into ``cash``.

    No affordable share that would reduce the deviation is ever left out. The choice does not depend on the order of
    ``wants``, whose symbols are unique.
    """
    ordered = sorted(wants, key=lambda want: want.symbol)
    with localcontext(EXACT):
        scale = _Scale.of(ordered, cash, fees, kept)
        ladders = [_ladder(want, fees, kept, scale) for want in ordered]
        quantities, gap = _best(ladders, scale.floor(cash))
        symbols = (want.symbol for want in ordered)
        return Purchase(dict(zip(symbols, quantities, strict=True)), scale.usd(gap))


def _unit_outlay(want: Want, kept: Decimal) -> Decimal:
    return (ONE - kept) * want.price + kept * want.value


@dataclass(frozen=True, slots=True)
class _Scale:
    """Exact conversion of USD into whole numbers."""

    digits: int

    @classmethod
    def of(cls, wants: Sequence[Want], cash: Decimal, fees: FeeSchedule, kept: Decimal) -> _Scale:
        amounts = [ZERO, (ONE - kept) * fees.per_share, (ONE - kept) * fees.minimum, cash]
        for want in wants:
            amounts += [_unit_outlay(want, kept), want.value * want.shortfall, _fee_cap(want, fees, kept)]
        return cls(max(0, *(-_exponent(amount) for amount in amounts)))

    def floor(self, amount: Decimal) -> int:
        scaled = amount.scaleb(self.digits)
        whole = int(scaled)
        return whole - 1 if whole > scaled else whole

    def usd(self, amount: Fraction) -> Decimal:
        return (Decimal(amount.numerator) / Decimal(amount.denominator)).scaleb(-self.digits)


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _fee_cap(want: Want, fees: FeeSchedule, kept: Decimal) -> Decimal:
    return (ONE - kept) * fees.maximum_rate * want.price


@dataclass(frozen=True, slots=True)
class _Ladder:
    """Cost and lost deviation of buying 0 to ``wanted`` shares of one name, in scaled whole numbers."""

    wanted: int
    unit_cost: int
    unit_value: int
    last_value: int
    fee_per_share: int
    fee_minimum: int
    fee_cap: int

    def cost(self, shares: int) -> int:
        fee = min(max(self.fee_per_share * shares, self.fee_minimum), self.fee_cap * shares)
        return self.unit_cost * shares + fee

    def loss(self, shares: int) -> int:
        """Deviation in excess of that of all wanted shares."""
        missing = self.wanted - shares
        return self.last_value + (missing - 1) * self.unit_value if missing else 0

    def gain(self, shares: int) -> int:
        """Deviation that one share more removes."""
        return self.last_value if shares == self.wanted - 1 else self.unit_value

    def pieces(self) -> list[tuple[int, int]]:
        """Ranges of shares, both ends included, in which cost and loss are linear."""
        capped = self.fee_minimum // self.fee_cap if self.fee_cap else self.wanted
        flat = self.fee_minimum // self.fee_per_share if self.fee_per_share else self.wanted
        ends = sorted({-1, *(min(end, self.wanted - 1) for end in (capped, flat, self.wanted - 1)), self.wanted})
        return [(low + 1, high) for low, high in pairwise(ends)]


def _ladder(want: Want, fees: FeeSchedule, kept: Decimal, scale: _Scale) -> _Ladder:
    wanted = nearest_shares(want.shortfall)
    last = min(ONE, 2 * (want.shortfall - wanted + 1) - 1)
    return _Ladder(
        wanted,
        unit_cost=scale.floor(_unit_outlay(want, kept)),
        unit_value=scale.floor(want.value),
        last_value=scale.floor(want.value * last),
        fee_per_share=scale.floor((ONE - kept) * fees.per_share),
        fee_minimum=scale.floor((ONE - kept) * fees.minimum),
        fee_cap=scale.floor(_fee_cap(want, fees, kept)),
    )


@dataclass(frozen=True, slots=True)
class _Edge:
    """A step down the lower convex hull of one ladder."""

    ladder: int
    low: int
    high: int
    saved: int
    lost: int


def _edges(index: int, ladder: _Ladder) -> Iterator[_Edge]:
    """Hull of lost deviation over saved cash, from all wanted shares down to none."""
    hull: list[int] = []
    for shares in sorted({end for piece in ladder.pieces() for end in piece}, reverse=True):
        while len(hull) > 1 and not _convex(ladder, hull[-2], hull[-1], shares):
            hull.pop()
        hull.append(shares)
    for high, low in pairwise(hull):
        yield _Edge(index, low, high, ladder.cost(high) - ladder.cost(low), ladder.loss(low) - ladder.loss(high))


def _convex(ladder: _Ladder, high: int, middle: int, low: int) -> bool:
    first_saved = ladder.cost(high) - ladder.cost(middle)
    first_lost = ladder.loss(middle) - ladder.loss(high)
    saved = ladder.cost(middle) - ladder.cost(low)
    return first_lost * saved < (ladder.loss(low) - ladder.loss(middle)) * first_saved


def _best(ladders: list[_Ladder], cash: int) -> tuple[list[int], Fraction]:
    """Quantities, and the deviation by which a better choice is not ruled out."""
    wanted = [ladder.wanted for ladder in ladders]
    if _total_cost(ladders, wanted) <= cash:
        return wanted, Fraction(0)
    if cash <= 0:
        return [0] * len(ladders), Fraction(0)
    price, start = _relax(ladders, cash)
    search = _Search(ladders, cash, price, start)
    proven = any(search.pass_through(width) for width in WIDTHS)
    gap = Fraction(0) if proven else Fraction(search.excess, price.denominator)
    return search.best, gap


def _total_cost(ladders: Sequence[_Ladder], quantities: Sequence[int]) -> int:
    return sum(ladder.cost(shares) for ladder, shares in zip(ladders, quantities, strict=True))


def _relax(ladders: list[_Ladder], cash: int) -> tuple[Fraction, list[int]]:
    """Drop where a dollar saved costs the least deviation, until the rest is affordable.

    Returns:
        Deviation per dollar of the last step, and the affordable quantities.
    """
    quantities = [ladder.wanted for ladder in ladders]
    missing = _total_cost(ladders, quantities) - cash
    edges = [edge for index, ladder in enumerate(ladders) for edge in _edges(index, ladder)]
    for edge in sorted(edges, key=lambda edge: (Fraction(edge.lost, edge.saved), edge.ladder)):
        if edge.saved >= missing:
            limit = ladders[edge.ladder].cost(edge.high) - missing
            steps = range(edge.low, edge.high)
            quantities[edge.ladder] = steps[bisect_right(steps, limit, key=ladders[edge.ladder].cost) - 1]
            return Fraction(edge.lost, edge.saved), quantities
        quantities[edge.ladder] = edge.low
        missing -= edge.saved
    raise AssertionError("buying nothing is always affordable")


def _fill(ladders: list[_Ladder], cash: int, quantities: list[int]) -> list[int]:
    """Add every share that is still affordable, those that remove most deviation first."""
    filled = list(quantities)
    spare = cash - _total_cost(ladders, filled)
    gains = {i: ladder.gain(filled[i]) for i, ladder in enumerate(ladders) if filled[i] < ladder.wanted}
    for i in sorted(gains, key=lambda i: (-gains[i], i)):
        base = ladders[i].cost(filled[i])
        steps = range(filled[i], ladders[i].wanted + 1)
        filled[i] = steps[bisect_right(steps, base + spare, key=ladders[i].cost) - 1]
        spare -= ladders[i].cost(filled[i]) - base
    return filled


@dataclass(frozen=True, slots=True)
class _Option:
    """Another quantity of one name: its regret and cost beyond those of the quantity that the search starts from."""

    regret: int
    cost: int
    shares: int


class _Trail(NamedTuple):
    """Choices that led to a combination, newest first."""

    before: _Trail | None
    ladder: int
    shares: int


_Combination = tuple[int, int, _Trail | None]
"""Cost, regret, choices."""


class _Search:
    """Combinations of choices, name by name, around a starting purchase.

    Attributes:
        best: quantities of the best purchase known; affordable.
        excess: what it is worse than the relaxation: regrets + price of the idle cash. Scaled, as regrets are, by the
            denominator of the price.
    """

    def __init__(self, ladders: list[_Ladder], cash: int, price: Fraction, start: list[int]) -> None:
        self._ladders = ladders
        self._cash = cash
        self._price = price
        self._start = start
        self._floors = [
            min(self._rate(i, end) for piece in ladder.pieces() for end in piece) for i, ladder in enumerate(ladders)
        ]
        self._start_cost = _total_cost(ladders, start)
        self._start_regret = sum(self._regret(i, shares) for i, shares in enumerate(start))
        self._take(_fill(ladders, cash, start))

    def _take(self, quantities: list[int]) -> None:
        idle = self._cash - _total_cost(self._ladders, quantities)
        regret = sum(self._regret(i, shares) for i, shares in enumerate(quantities))
        self.best = quantities
        self.excess = regret + self._price.numerator * idle

    def _rate(self, index: int, shares: int) -> int:
        ladder = self._ladders[index]
        return self._price.denominator * ladder.loss(shares) + self._price.numerator * ladder.cost(shares)

    def _regret(self, index: int, shares: int) -> int:
        return self._rate(index, shares) - self._floors[index]

    def pass_through(self, width: int) -> bool:
        """Improve the best purchase; true if nothing was left out that could have been better."""
        menus = [menu for index in range(len(self._ladders)) if (menu := self._menu(index, width)).options]
        menus.sort(key=lambda menu: (menu.options[0].regret, menu.ladder))
        whole = self._combine(menus, width) and not any(menu.cut for menu in menus)
        self._take(_fill(self._ladders, self._cash, self.best))
        return whole

    def _menu(self, index: int, width: int) -> _Menu:
        """Quantities of one name that could be part of a better purchase, least regret first."""
        start = self._start[index]
        regret, cost = self._regret(index, start), self._ladders[index].cost(start)
        spans = [self._span(index, low, high) for low, high in self._ladders[index].pieces()]
        options = [
            _Option(self._regret(index, shares) - regret, self._ladders[index].cost(shares) - cost, shares)
            for span in spans
            for shares in _nearest(span, start, width)
            if shares != start
        ]
        options.sort(key=lambda option: (option.regret, option.shares))
        return _Menu(index, tuple(options), cut=any(len(span) > width for span in spans))

    def _span(self, index: int, low: int, high: int) -> range:
        """Shares of a linear piece whose regret is below the excess of the best purchase."""
        at_low, at_high = self._regret(index, low), self._regret(index, high)
        if min(at_low, at_high) >= self.excess:
            return range(0)
        if at_low == at_high:
            return range(low, high + 1)
        slope = (at_high - at_low) // (high - low)
        if slope > 0:
            return range(low, min(high, low + (self.excess - 1 - at_low) // slope) + 1)
        return range(max(low, high - (self.excess - 1 - at_high) // -slope), high + 1)

    def _combine(self, menus: list[_Menu], width: int) -> bool:
        rises = _remaining(max(0, *(option.cost for option in menu.options)) for menu in menus)
        falls = _remaining(max(0, *(-option.cost for option in menu.options)) for menu in menus)
        states: list[_Combination] = [(self._start_cost, self._start_regret, None)]
        effort, whole = 0, True
        for menu, rise, fall in zip(menus, rises, falls, strict=True):
            pool = states + self._extend(states, menu)
            effort += len(pool)
            if effort > EFFORT:
                return False
            states = self._undominated(pool, rise, fall)
            if len(states) > width:
                whole = False
                states = sorted(states, key=self._distance)[:width]
        return whole

    def _extend(self, states: list[_Combination], menu: _Menu) -> list[_Combination]:
        """Every combination with every option, remembering the best affordable one."""
        pool: list[_Combination] = []
        cash, price = self._cash, self._price.numerator
        for cost, regret, trail in states:
            for option in menu.options:
                new_regret = regret + option.regret
                if new_regret >= self.excess:
                    break
                new_cost = cost + option.cost
                state = (new_cost, new_regret, _Trail(trail, menu.ladder, option.shares))
                pool.append(state)
                if new_cost <= cash and new_regret + price * (cash - new_cost) < self.excess:
                    self._take(self._quantities(state))
        return pool

    def _quantities(self, state: _Combination) -> list[int]:
        quantities = list(self._start)
        trail = state[2]
        while trail is not None:
            quantities[trail.ladder] = trail.shares
            trail = trail.before
        return quantities

    def _undominated(self, pool: list[_Combination], rise: int, fall: int) -> list[_Combination]:
        """Drop what costs more without less deviation, and what the remaining names cannot make best any more."""
        price = self._price.numerator
        pool.sort(key=lambda state: (state[0], state[1]))
        kept: list[_Combination] = []
        lowest: int | None = None
        for state in pool:
            cost, regret, _ = state
            if cost - fall > self._cash:
                break
            deviation = regret - price * cost
            if lowest is not None and deviation >= lowest:
                continue
            if regret + price * max(0, self._cash - cost - rise) >= self.excess:
                continue
            lowest = deviation
            kept.append(state)
        return kept

    def _distance(self, state: _Combination) -> tuple[int, int]:
        return state[1] + self._price.numerator * abs(self._cash - state[0]), state[0]


@dataclass(frozen=True, slots=True)
class _Menu:
    """Options of one name; ``cut`` if there were more."""

    ladder: int
    options: tuple[_Option, ...]
    cut: bool


def _nearest(span: range, start: int, width: int) -> range:
    """At most ``width`` shares of a span, those around ``start``."""
    if len(span) <= width:
        return span
    first = min(max(start - width // 2, span.start), span.stop - width)
    return range(first, first + width)


def _remaining(amounts: Iterator[int]) -> list[int]:
    """Sum of all later amounts, for each."""
    totals = [0]
    for amount in reversed(list(amounts)):
        totals.append(totals[-1] + amount)
    return totals[-2::-1]
