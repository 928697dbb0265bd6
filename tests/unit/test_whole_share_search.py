"""The search for the best purchase: against trying everything, and in figures that can be worked out on paper."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import pytest

from rebalancer.planning.whole_shares.ladders import Ladder, total_cost
from rebalancer.planning.whole_shares.relaxation import relax
from rebalancer.planning.whole_shares.search import _later, _Menu, _nearest, _Search, _undominated, search
from tests.unit.test_relaxation import CHEAP, DEAR

MODULE = sys.modules[search.__module__]
"""The module, whose name in the package is the function's."""


def problem(seed: int, names: int, most: int) -> tuple[list[Ladder], int]:
    """Names with and without fees, and cash for a part of them."""
    dice = random.Random(seed)
    ladders = []
    for _ in range(names):
        cost, minimum = dice.randint(20, 200), dice.choice([0, 0, 10, 35])
        value = cost - dice.choice([0, 0, 1, cost // 20])
        last, rising, cap = dice.randint(1, value), dice.choice([0, 1]), dice.choice([2, 1000])
        ladders.append(Ladder(dice.randint(1, most), cost, value, last, rising, minimum, cap))
    whole = total_cost(ladders, [ladder.wanted for ladder in ladders])
    return ladders, dice.randint(1, whole - 1)


def begun(ladders: Sequence[Ladder], cash: int) -> _Search:
    return _Search(ladders, cash, relax(ladders, cash))


def loss(ladders: Sequence[Ladder], quantities: Sequence[int]) -> int:
    return sum(ladder.loss(shares) for ladder, shares in zip(ladders, quantities, strict=True))


def least_loss(ladders: Sequence[Ladder], cash: int) -> int:
    everything = product(*(range(ladder.wanted + 1) for ladder in ladders))
    return min(loss(ladders, each) for each in everything if total_cost(ladders, each) <= cash)


def bound(ladders: Sequence[Ladder], cash: int, price: Fraction) -> Fraction:
    """No purchase leaves less: what every name would choose by itself, were cash for sale at that price."""
    choices = ((ladder, range(ladder.wanted + 1)) for ladder in ladders)
    return sum((min(one.loss(n) + price * one.cost(n) for n in shares) for one, shares in choices), -price * cash)


@pytest.mark.parametrize("seed", range(10))
def test_no_other_price_of_the_cash_tells_more(seed: int) -> None:
    ladders, cash = problem(seed, names=5, most=9)
    price = relax(ladders, cash).price
    for other in (price * Fraction(999, 1000), price * Fraction(1001, 1000)):
        assert bound(ladders, cash, other) <= bound(ladders, cash, price)


@pytest.mark.parametrize("block", range(10))
def test_of_a_few_names_the_best_is_found_and_proven(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        ladders, cash = problem(seed, names=4, most=3)
        found, gap = search(ladders, cash, relax(ladders, cash))
        assert total_cost(ladders, found) <= cash
        assert (loss(ladders, found), gap) == (least_loss(ladders, cash), 0)


class TestPasses:
    @pytest.mark.parametrize("seed", range(8))
    def test_an_unproven_choice_states_what_the_relaxation_leaves_open(
        self, seed: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(MODULE, "EFFORT", 0)
        ladders, cash = problem(seed, names=5, most=9)
        relaxation = relax(ladders, cash)
        found, gap = search(ladders, cash, relaxation)
        assert gap == loss(ladders, found) - bound(ladders, cash, relaxation.price)
        assert gap > 0

    def test_what_the_first_pass_proves_needs_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(MODULE, "WIDTHS", (64,))
        assert search([CHEAP, DEAR], 59, relax([CHEAP, DEAR], 59))[1] == 0

    def test_a_wider_pass_proves_what_the_first_did_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(MODULE, "WIDTHS", (1, 64))
        assert search([CHEAP, DEAR], 59, relax([CHEAP, DEAR], 59))[1] == 0
        monkeypatch.setattr(MODULE, "WIDTHS", (1, 1))
        assert search([CHEAP, DEAR], 59, relax([CHEAP, DEAR], 59))[1] > 0


class TestHandWorked:
    """59 USD for 3 of A at 10 and 2 of B at 20, at a price of 1/2: the relaxation buys 2 and 1, and 19 are left.

    Doubled, regrets are 20, 10, 0, 6 of 0 to 3 shares of A and 0 of any of B. One A more is affordable; its regret of 6
    and 9 idle dollars are an excess of 15.
    """

    def begun(self) -> _Search:
        return begun([CHEAP, DEAR], 59)

    def test_the_start_is_filled_up(self) -> None:
        running = self.begun()
        assert (running.best, running.excess, running._origin) == ([3, 1], 15, (40, 0, None))

    def test_menus_hold_what_may_be_better_and_those_with_least_regret_come_first(self) -> None:
        assert self.begun()._menus(64) == [
            _Menu(1, ((-20, 0, 0), (20, 0, 2)), cut=False),
            _Menu(0, ((10, 6, 3), (-10, 10, 1)), cut=False),
        ]

    def test_a_menu_that_is_narrower_than_its_span_is_cut(self) -> None:
        assert [self.begun()._menu(1, width).cut for width in (1, 2)] == [True, False]
        assert self.begun()._menu(0, 1) == _Menu(0, ((10, 6, 3),), cut=True)

    def test_rise_and_fall_of_a_menu(self) -> None:
        both, up, down = ((-20, 0, 0), (20, 0, 2), (30, 1, 3)), ((5, 1, 0), (9, 2, 1)), ((-5, 1, 0), (-9, 2, 1))
        menus = [_Menu(0, choices, cut=False) for choices in (both, up, down)]
        assert [(menu.rise, menu.fall) for menu in menus] == [(30, 20), (9, 0), (0, 9)]

    def test_only_what_keeps_the_regret_below_the_excess_is_combined(self) -> None:
        running = self.begun()
        menu = _Menu(0, ((10, 6, 3), (-10, 10, 1)), cut=False)
        combined = {regret: len(running._extended([(40, regret, None)], menu)) for regret in (0, 4, 5, 8, 9)}
        assert combined == {0: 2, 4: 2, 5: 1, 8: 1, 9: 0}
        before = (None, 1, 2)
        assert running._extended([(60, 5, before)], menu) == [(70, 11, (before, 0, 3))]

    def test_quantities_of_trails(self) -> None:
        running = self.begun()
        assert running._quantities(None) == [2, 1]
        assert running._quantities(((None, 0, 3), 1, 0)) == [3, 0]
        assert running._quantities((None, 0, 1), (None, 1, 2)) == [1, 2]

    def test_sums_with_least_regret_and_change_of_cost_come_first(self) -> None:
        running = self.begun()
        sums = running._sums((0, 0, None), running._menus(64))
        assert [state[:2] for state in sums] == [
            *((0, 0), (-20, 0), (20, 0)),
            *((-10, 6), (10, 6), (30, 6)),
            *((-10, 10), (10, 10), (-30, 10)),
        ]

    def test_only_so_many_sums_are_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(MODULE, "PAIRED_COMBINATIONS", 2)
        running = self.begun()
        assert [state[:2] for state in running._sums((0, 0, None), running._menus(64))] == [(0, 0), (-20, 0)]

    def test_a_state_that_leaves_the_same_changes_nothing(self) -> None:
        """One A and two B cost 50 too; with a regret of 6 they would leave as much."""
        running = self.begun()
        other = ((None, 0, 1), 1, 2)
        running._note_best([(50, 6, other)])
        assert running.best == [3, 1]
        running._note_best([(50, 5, other)])
        assert running.best == [1, 2]

    def test_what_is_too_dear_or_too_bad_or_worse_than_another_is_dropped(self) -> None:
        """Deviation is regret less cost; 59 less cost are idle."""
        running = self.begun()

        def kept(*states: tuple[int, int], rise: int = 0, fall: int = 0) -> list[tuple[int, int]]:
            nothing = _Menu(0, (), cut=False)
            left = running._promising([(*state, None) for state in states], nothing, rise, fall)
            return [state[:2] for state in _undominated(left, running._per_cost)]

        assert kept((44, 0), (45, 0)) == [(45, 0)], "15 idle dollars are an excess of 15"
        assert kept((39, 0), (40, 0), rise=5) == [(40, 0)], "unless the names to come can use them"
        assert kept((59, 14), (59, 15)) == [(59, 14)]
        assert kept((50, 5), (45, 0), (55, 6)) == [(45, 0), (55, 6)], "5 more for 5 more is no gain"
        assert kept((56, 7), (45, 0), (53, 5), (54, 9)) == [(45, 0), (53, 5), (56, 7)]
        assert kept((60, 0), (59, 3)) == [(59, 3)]
        assert kept((60, 0), (61, 0), (59, 3), fall=1) == [(59, 3), (60, 0)], "unless the names to come can save it"

    def test_of_equal_states_the_first_is_kept(self) -> None:
        first, second = (45, 0, (None, 1, 2)), (45, 0, None)
        assert _undominated([first, second], 1) == [first]

    @pytest.mark.parametrize("seed", range(10))
    def test_a_choice_is_held_to_the_same_as_the_combination_that_it_makes(self, seed: int) -> None:
        running = begun(*problem(seed, names=6, most=30))
        nothing = _Menu(0, (), cut=False)
        for menu in running._menus(64):
            for rise, fall in ((0, 0), (menu.rise, menu.fall), (50, 1)):
                states = [running._origin, (running._cash, 0, None)]
                both = states + running._extended(states, menu)
                assert running._promising(states, menu, rise, fall) == running._promising(both, nothing, rise, fall)

    def test_states_are_kept_by_regret_and_the_price_of_what_they_lack_or_leave(self) -> None:
        distances = [self.begun()._distance((cost, 6, None)) for cost in (50, 59, 70)]
        assert distances == [(15, 50), (6, 59), (17, 70)]


class TestSpans:
    """Of each linear piece exactly the shares whose regret is below the excess."""

    @pytest.mark.parametrize("seed", range(20))
    def test_of_many_problems(self, seed: int) -> None:
        ladders, cash = problem(seed, names=5, most=30)
        running = begun(ladders, cash)
        for excess in {running.excess, running.excess // 3, running.excess * 5}:
            running.excess = excess
            for index, ladder in enumerate(ladders):
                for low, high in ladder.pieces():
                    worth = [n for n in range(low, high + 1) if running._regret(index, n) < excess]
                    assert list(running._span(index, low, high)) == worth


class TestWidthAndEffort:
    def test_a_pass_that_had_to_drop_a_state_proves_nothing(self) -> None:
        """Of three of B and one of A, 4 states are kept at most, and no menu is wider than two."""
        ladders = [DEAR, DEAR, DEAR, CHEAP]
        assert [begun(ladders, 99).go_through(width) for width in (3, 4)] == [False, True]

    def test_a_pass_whose_menus_are_cut_proves_nothing(self) -> None:
        assert [begun([CHEAP, DEAR], 59).go_through(width) for width in (1, 2)] == [False, True]

    @pytest.mark.parametrize(("effort", "proven"), [(5, False), (6, True)])
    def test_all_passes_may_look_at_so_many_combinations(
        self, effort: int, proven: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two choices of B, of which one is kept beside the start, with two of A each."""
        monkeypatch.setattr(MODULE, "EFFORT", effort)
        running = begun([CHEAP, DEAR], 59)
        assert running.go_through(64) is proven
        assert not running.go_through(64)


class TestWhatIsLeftOpen:
    """Excess over the relaxation, of 8 names with up to 30 shares each: whoever changes the search should lower it."""

    PROBLEMS = tuple(problem(seed, names=8, most=30) for seed in range(10))

    def test_after_the_start(self) -> None:
        left = [begun(*each).excess for each in self.PROBLEMS]
        assert left == [1768, 23341, 82548, 2947, 5564, 2613, 13847, 2660, 3054, 2391]

    @pytest.mark.parametrize(
        ("width", "expected"),
        [
            (2, [1348, 9481, 82548, 2947, 4598, 2613, 13847, 2660, 363, 1974]),
            (4, [1348, 9481, 62678, 919, 734, 1017, 13847, 1582, 2352, 1974]),
        ],
    )
    def test_after_a_narrow_pass(self, width: int, expected: list[int]) -> None:
        searches = [begun(*each) for each in self.PROBLEMS]
        for running in searches:
            running.go_through(width)
        assert [running.excess for running in searches] == expected

    def test_after_the_pairs(self) -> None:
        searches = [begun(*each) for each in self.PROBLEMS]
        for running in searches:
            running.pair_up()
        assert [running.excess for running in searches] == [1348, 7501, 60691, 919, 734, 177, 5524, 812, 363, 1001]

    def test_pairs_find_the_best_of_two_names(self) -> None:
        """The last one is better by one of the smallest units."""
        for ladders, cash in (*(problem(seed, names=2, most=1) for seed in range(60)), problem(332, names=2, most=3)):
            running = begun(ladders, cash)
            running.pair_up()
            assert loss(ladders, running.best) == least_loss(ladders, cash)

    def test_pairs_that_leave_the_same_change_nothing(self) -> None:
        running = begun([DEAR, DEAR, DEAR, CHEAP], 99)
        running.pair_up()
        assert (running.best, running.excess) == ([0, 1, 2, 3], 15)


@pytest.mark.parametrize(
    ("start", "width", "nearest"),
    [
        (10, 5, range(8, 13)),
        (10, 4, range(8, 12)),
        (4, 5, range(3, 8)),
        (1, 5, range(3, 8)),
        (19, 5, range(15, 20)),
        (30, 5, range(15, 20)),
        (10, 17, range(3, 20)),
        (10, 18, range(3, 20)),
    ],
)
def test_the_nearest_of_a_span(start: int, width: int, nearest: range) -> None:
    assert _nearest(range(3, 20), start, width) == nearest


def test_what_is_still_to_come() -> None:
    assert list(_later([5, 0, 7, 2])) == [9, 9, 2, 0]
    assert list(_later([])) == []
