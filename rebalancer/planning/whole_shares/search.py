"""Search for the best purchase around the linear relaxation.

Charged with the relaxation's price for the cash that it uses, every choice for a name has a *regret* >= 0 beyond the
best choice for that name. A purchase is then worse than the relaxation by exactly its *excess*: the sum of its regrets
plus the price of the cash that it leaves idle. So only choices with less regret than the excess of the best purchase
known can be part of a better one. They are few, and combined name by name, those with least regret first; of two
combinations, the one that costs no less and leaves no less deviation is dropped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import itemgetter
from typing import TypeAlias

from rebalancer.planning.whole_shares.ladders import Ladder, fill, total_cost
from rebalancer.planning.whole_shares.relaxation import Relaxation

WIDTHS = (64, 256, 1024)
"""Combinations kept after each name, in successive passes; a pass that had to drop none proves its result."""
EFFORT = 150_000
"""Combinations that all passes may look at, about 0.05 s."""
PAIRED_NAMES, PAIRED_CHOICES, PAIRED_COMBINATIONS, PAIRED_TRIES = 10, 4, 2000, 3
"""Size of the shot in the dark, see :meth:`_Search.pair_up`."""


def search(ladders: Sequence[Ladder], cash: int, relaxation: Relaxation) -> tuple[list[int], Fraction]:
    """Best quantities found, and the deviation by which better ones are not ruled out."""
    running = _Search(ladders, cash, relaxation)
    proven = running.go_through(WIDTHS[0])
    if not proven:
        running.pair_up()
        proven = any(running.go_through(width) for width in WIDTHS[1:])
    return running.best, Fraction(0) if proven else Fraction(running.excess, relaxation.price.denominator)


_Trail: TypeAlias = "tuple[_Trail, int, int] | None"
"""Choices that led to a combination, newest first: the ones before, the name's index, its shares."""
_State: TypeAlias = tuple[int, int, _Trail]
"""A combination of choices: cost, regret and trail. All other names stay at the starting purchase. A bare tuple, since
a hundred thousand are made: with names for its parts the search takes half as long again."""


@dataclass(frozen=True, slots=True)
class _Menu:
    """Choices for one name other than the starting one, least regret first, with cost and regret relative to it.

    Attributes:
        cut: there were more.
    """

    ladder: int
    choices: tuple[tuple[int, int, int], ...]
    cut: bool

    @property
    def rise(self) -> int:
        """Most by which a choice raises the cost."""
        rise: int = max(0, *map(_COST, self.choices))
        return rise

    @property
    def fall(self) -> int:
        """Most by which a choice lowers the cost."""
        fall: int = -min(0, *map(_COST, self.choices))
        return fall


_COST, _COST_AND_REGRET, _REGRET_AND_SHARES = itemgetter(0), itemgetter(0, 1), itemgetter(1, 2)


class _Search:
    """The best purchase so far, and the ways to improve it.

    Attributes:
        best: quantities; affordable, and no further share is.
        excess: of the best; scaled, as all regrets are, by the denominator of the price.
    """

    def __init__(self, ladders: Sequence[Ladder], cash: int, relaxation: Relaxation) -> None:
        self._ladders = ladders
        self._cash = cash
        self._per_loss = relaxation.price.denominator
        self._per_cost = relaxation.price.numerator
        self._start = relaxation.quantities
        self._least = [
            min(self._burden(ladder, end) for piece in ladder.pieces() for end in piece) for ladder in ladders
        ]
        regret = sum(self._regret(index, shares) for index, shares in enumerate(self._start))
        self._origin: _State = (total_cost(ladders, self._start), regret, None)
        self._effort_left = EFFORT
        self._take(self._start)

    def pair_up(self) -> None:
        """A shot in the dark: combine two groups of a few names each, and match the groups to use up the cash."""
        menus = self._menus(PAIRED_CHOICES)[:PAIRED_NAMES]
        left = self._sums(self._origin, menus[::2])
        right = sorted(self._sums((0, 0, None), menus[1::2]), key=_COST_AND_REGRET)
        costs = [cost for cost, _, _ in right]
        for cost, regret, trail in left:
            end = bisect_right(costs, self._cash - cost)
            for other_cost, other_regret, other_trail in right[max(0, end - PAIRED_TRIES) : end]:
                if self._excess(cost + other_cost, regret + other_regret) < self.excess:
                    self._take(self._quantities(trail, other_trail))

    def go_through(self, width: int) -> bool:
        """Improve the best purchase name by name; true if nothing better can have been left out."""
        menus = self._menus(width)
        whole = not any(menu.cut for menu in menus)
        states = [self._origin]
        for menu, rise, fall in zip(
            menus, _later(menu.rise for menu in menus), _later(menu.fall for menu in menus), strict=True
        ):
            self._effort_left -= len(states) * len(menu.choices)
            if self._effort_left < 0:
                return False
            states = _undominated(self._promising(states, menu, rise, fall), self._per_cost)
            self._note_best(states)
            if len(states) > width:
                whole = False
                states = sorted(states, key=self._distance)[:width]
        return whole

    def _burden(self, ladder: Ladder, shares: int) -> int:
        return self._per_loss * ladder.loss(shares) + self._per_cost * ladder.cost(shares)

    def _regret(self, index: int, shares: int) -> int:
        return self._burden(self._ladders[index], shares) - self._least[index]

    def _excess(self, cost: int, regret: int) -> int:
        return regret + self._per_cost * (self._cash - cost)

    def _take(self, quantities: Sequence[int]) -> None:
        self.best = fill(self._ladders, self._cash, quantities)
        regret = sum(self._regret(index, shares) for index, shares in enumerate(self.best))
        self.excess = self._excess(total_cost(self._ladders, self.best), regret)

    def _note_best(self, states: Iterable[_State]) -> None:
        for cost, regret, trail in states:
            if cost <= self._cash and self._excess(cost, regret) < self.excess:
                self._take(self._quantities(trail))

    def _quantities(self, *trails: _Trail) -> list[int]:
        quantities = list(self._start)
        for trail in trails:
            before = trail
            while before is not None:
                before, ladder, shares = before
                quantities[ladder] = shares
        return quantities

    def _menus(self, width: int) -> list[_Menu]:
        """Of every name that has another choice worth a look, those with the least regret first."""
        menus = [self._menu(index, width) for index in range(len(self._ladders))]
        return sorted((menu for menu in menus if menu.choices), key=lambda menu: (menu.choices[0][1], menu.ladder))

    def _menu(self, index: int, width: int) -> _Menu:
        ladder, start = self._ladders[index], self._start[index]
        spans = [self._span(index, low, high) for low, high in ladder.pieces()]
        choices = [choice for span in spans for choice in self._choices(index, _nearest(span, start, width))]
        choices.sort(key=_REGRET_AND_SHARES)
        return _Menu(index, tuple(choices), cut=any(len(span) > width for span in spans))

    def _choices(self, index: int, span: range) -> list[tuple[int, int, int]]:
        """Of a part of a linear piece, where the first and the last say all, all but the starting one."""
        if not span:
            return []
        start, first, last = self._start[index], self._choice(index, span[0]), self._choice(index, span[-1])
        steps = max(1, len(span) - 1)
        dearer, worse = (last[0] - first[0]) // steps, (last[1] - first[1]) // steps
        return [
            (first[0] + dearer * further, first[1] + worse * further, shares)
            for further, shares in enumerate(span)
            if shares != start
        ]

    def _choice(self, index: int, shares: int) -> tuple[int, int, int]:
        ladder, start = self._ladders[index], self._start[index]
        return (
            ladder.cost(shares) - ladder.cost(start),
            self._regret(index, shares) - self._regret(index, start),
            shares,
        )

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

    def _promising(self, states: Iterable[_State], menu: _Menu, rise: int, fall: int) -> list[_State]:
        """The same combinations and each with every choice, where the names to come may make a better purchase of it.

        Args:
            rise, fall: most by which the names to come can still change the cost.
        """
        ladder, choices, excess, per_cost = menu.ladder, menu.choices, self.excess, self._per_cost
        regrets = [further for _, further, _ in choices]
        dearest, saved = self._cash + fall, self._cash - rise
        unchanged = [
            state for state in states if state[0] <= dearest and state[1] + per_cost * max(0, saved - state[0]) < excess
        ]
        return unchanged + [
            (new, worse, (trail, ladder, shares))
            for cost, regret, trail in states
            for change, further, shares in choices[: bisect_right(regrets, excess - 1 - regret)]
            if (new := cost + change) <= dearest
            and (worse := regret + further) + (per_cost * (saved - new) if new < saved else 0) < excess
        ]

    def _extended(self, states: Iterable[_State], menu: _Menu) -> list[_State]:
        """Every combination with every choice that leaves its regret below the excess of the best."""
        ladder, choices, most = menu.ladder, menu.choices, self.excess - 1
        regrets = [further for _, further, _ in choices]
        return [
            (cost + change, regret + further, (trail, ladder, shares))
            for cost, regret, trail in states
            for change, further, shares in choices[: bisect_right(regrets, most - regret)]
        ]

    def _distance(self, state: _State) -> tuple[int, int]:
        cost, regret, _ = state
        return regret + self._per_cost * abs(self._cash - cost), cost

    def _sums(self, origin: _State, menus: Sequence[_Menu]) -> list[_State]:
        """Combinations of some names, those with least regret and least change of cost."""
        states = [origin]
        for menu in menus:
            states += self._extended(states, menu)
            states = sorted(states, key=lambda state: (state[1], abs(state[0]), state[0]))[:PAIRED_COMBINATIONS]
        return states


def _undominated(states: list[_State], per_cost: int) -> list[_State]:
    """Drop what costs no less and leaves no less deviation than another."""
    states.sort(key=_COST_AND_REGRET)
    kept: list[_State] = []
    least: int | None = None
    for state in states:
        deviation = state[1] - per_cost * state[0]
        if least is None or deviation < least:
            least = deviation
            kept.append(state)
    return kept


def _nearest(span: range, start: int, width: int) -> range:
    """At most ``width`` numbers of a span, those around ``start``."""
    if len(span) <= width:
        return span
    first = min(max(start - width // 2, span.start), span.stop - width)
    return range(first, first + width)


def _later(amounts: Iterable[int]) -> Iterator[int]:
    """For each amount, the sum of all after it."""
    known = list(amounts)
    left = sum(known)
    for amount in known:
        left -= amount
        yield left
