"""What each number of shares costs and leaves of its deviation, in figures that can be worked out on paper."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest

from rebalancer.domain.money import EXACT, ZERO
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.planning.whole_shares import Want, outlay
from rebalancer.planning.whole_shares.ladders import Ladder, Scale, fill, most_affordable, total_cost

FREE = FeeSchedule(ZERO, ZERO, ZERO)
WANT = Want("A", shortfall=Decimal(2), value=Decimal(10), price=Decimal(10))
KEPT = Decimal("0.1")

FEES = Ladder(wanted=8, unit_cost=100, unit_value=90, last_value=40, unit_fee=2, fee_minimum=10, fee_cap=3)
"""Of up to 3 shares the fee is capped, of 4 and 5 it is the minimum, then it rises."""
PLAIN = Ladder(wanted=3, unit_cost=10, unit_value=9, last_value=4, unit_fee=0, fee_minimum=0, fee_cap=0)


class TestOutlay:
    """Of a spread of 0.50 and of the fee a tenth comes out of the reserve."""

    WANT = replace(WANT, price=Decimal("10.5"))

    @pytest.mark.parametrize(("quantity", "fee"), [(0, "0"), (3, "0.315"), (10, "1"), (300, "1.5")])
    def test_the_reserve_bears_its_part_of_spread_and_fee(self, quantity: int, fee: str) -> None:
        expected = quantity * Decimal("10.45") + Decimal("0.9") * Decimal(fee)
        assert outlay(quantity, self.WANT, FeeSchedule(), KEPT) == expected

    def test_without_a_reserve_all_of_them_weigh_on_the_cash(self) -> None:
        assert outlay(10, self.WANT, FeeSchedule(), ZERO) == 106


class TestScale:
    @pytest.mark.parametrize(
        ("want", "fees", "cash", "places"),
        [
            pytest.param(WANT, FREE, "5", 0, id="whole"),
            pytest.param(replace(WANT, value=Decimal("1E+2"), price=Decimal("1E+2")), FREE, "1E+3", 0, id="hundreds"),
            pytest.param(WANT, replace(FREE, per_share=Decimal("0.001")), "5", 3, id="fee by share"),
            pytest.param(WANT, replace(FREE, minimum=Decimal("0.0001")), "5", 4, id="smallest fee"),
            pytest.param(WANT, replace(FREE, maximum_rate=Decimal("0.001")), "5", 3, id="largest fee"),
            pytest.param(WANT, FREE, "5.00001", 5, id="cash"),
            pytest.param(replace(WANT, price=Decimal("10.001")), FREE, "5", 3, id="price"),
            pytest.param(replace(WANT, value=Decimal("10.0001")), FREE, "5", 4, id="value"),
            pytest.param(replace(WANT, shortfall=Decimal("1.999")), FREE, "5", 3, id="what overshoots"),
            pytest.param(replace(WANT, shortfall=Decimal("2.001")), FREE, "5", 0, id="what falls short"),
        ],
    )
    def test_the_finest_amount_decides(self, want: Want, fees: FeeSchedule, cash: str, places: int) -> None:
        with localcontext(EXACT):
            assert Scale.fitting([WANT, want], Decimal(cash), fees, ZERO) == Scale(places)

    def test_a_reserve_makes_amounts_finer(self) -> None:
        fees = FeeSchedule(Decimal("0.01"), Decimal("0.001"), Decimal("0.0001"))
        with localcontext(EXACT):
            assert Scale.fitting([WANT], Decimal(5), fees, KEPT) == Scale(5)
            assert Scale.fitting([], Decimal(5), fees, KEPT) == Scale(4)

    def test_amounts_in_hundreds_are_not_scaled_down(self) -> None:
        hundred = Decimal("1E+2")
        want, fees = Want("A", Decimal(2), hundred, hundred), FeeSchedule(hundred, hundred, hundred)
        assert Scale.fitting([want], Decimal("1E+3"), fees, ZERO) == Scale(0)

    def test_what_is_not_a_number_has_no_places(self) -> None:
        assert Scale.fitting([], Decimal("Infinity"), FREE, ZERO) == Scale(0)

    @pytest.mark.parametrize(("amount", "whole"), [("1.25", 12), ("1.2", 12), ("-1.2", -12), ("-1.25", -13), ("0", 0)])
    def test_amounts_are_rounded_down(self, amount: str, whole: int) -> None:
        assert Scale(1).floor(Decimal(amount)) == whole

    def test_back_in_dollars(self) -> None:
        assert Scale(2).usd(Fraction(3, 2)) == Decimal("0.015")


class TestLadderOfAWant:
    def test_amounts_are_of_a_lot(self) -> None:
        want = Want("A", shortfall=Decimal("29"), value=Decimal(20), price=Decimal(21), lot=10)
        fees = FeeSchedule(Decimal("0.5"), Decimal(7), Decimal("0.1"))
        assert Ladder.of(want, fees, KEPT, Scale(2)) == Ladder(
            wanted=3,
            unit_cost=10 * 2090,
            unit_value=10 * 2000,
            last_value=8 * 2000,  # the tenth share of the last lot overshoots: it removes nothing and adds as much
            unit_fee=10 * 45,
            fee_minimum=630,
            fee_cap=10 * 189,
        )

    def test_where_the_last_lot_falls_short_it_removes_all_that_it_is_worth(self) -> None:
        want = replace(WANT, shortfall=Decimal("24"), lot=10)
        assert Ladder.of(want, FREE, ZERO, Scale(0)) == Ladder(2, 100, 100, 100, 0, 0, 0)


def test_cost_is_shares_and_a_fee_between_its_bounds() -> None:
    assert [FEES.cost(shares) for shares in range(9)] == [0, 103, 206, 309, 410, 510, 612, 714, 816]


def test_loss_and_gain_of_each_share() -> None:
    assert [FEES.loss(shares) for shares in range(9)] == [670, 580, 490, 400, 310, 220, 130, 40, 0]
    assert [FEES.gain(shares) for shares in range(8)] == [90, 90, 90, 90, 90, 90, 90, 40]


@pytest.mark.parametrize(
    ("ladder", "pieces"),
    [
        pytest.param(FEES, [(0, 3), (4, 5), (6, 7), (8, 8)], id="capped, smallest, rising"),
        pytest.param(replace(FEES, unit_fee=0), [(0, 3), (4, 7), (8, 8)], id="never rising"),
        pytest.param(replace(FEES, fee_cap=0), [(0, 5), (6, 7), (8, 8)], id="no cap"),
        pytest.param(replace(FEES, wanted=4), [(0, 3), (4, 4)], id="fewer shares than the bounds"),
        pytest.param(replace(FEES, wanted=2), [(0, 1), (2, 2)], id="capped throughout"),
        pytest.param(PLAIN, [(0, 2), (3, 3)], id="no fees"),
        pytest.param(replace(PLAIN, wanted=1), [(0, 0), (1, 1)], id="one share"),
        pytest.param(replace(PLAIN, wanted=0), [(0, 0)], id="nothing"),
    ],
)
def test_pieces_within_which_cost_and_loss_are_linear(ladder: Ladder, pieces: list[tuple[int, int]]) -> None:
    assert ladder.pieces() == pieces
    for low, high in pieces:
        assert len({ladder.cost(n + 1) - ladder.cost(n) for n in range(low, high)}) <= 1
        assert len({ladder.loss(n + 1) - ladder.loss(n) for n in range(low, high)}) <= 1


def test_total_cost_is_of_all_names() -> None:
    assert total_cost([FEES, PLAIN], [4, 2]) == 430
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        total_cost([FEES, PLAIN], [4])


class TestFill:
    """Three names at 10 a share, of which a share removes 9, 8 and 9, the last wanted one 4 of each."""

    NAMES = (PLAIN, replace(PLAIN, unit_value=8), PLAIN)

    @pytest.mark.parametrize(
        ("cash", "before", "after"),
        [
            pytest.param(0, (0, 0, 0), [0, 0, 0], id="no cash"),
            pytest.param(10, (0, 0, 0), [1, 0, 0], id="of equal gains the first"),
            pytest.param(29, (0, 0, 0), [2, 0, 0], id="not the part of a share"),
            pytest.param(40, (0, 0, 0), [3, 0, 1], id="all of one, then the next best"),
            pytest.param(40, (2, 0, 0), [2, 0, 2], id="the last wanted share removes less"),
            pytest.param(70, (2, 0, 0), [2, 2, 3], id="a third"),
            pytest.param(80, (2, 0, 0), [2, 3, 3], id="down to the least"),
            pytest.param(90, (2, 0, 0), [3, 3, 3], id="all"),
            pytest.param(500, (3, 3, 3), [3, 3, 3], id="never more than is wanted"),
            pytest.param(35, (0, 3, 0), [0, 3, 0], id="what is there is kept"),
        ],
    )
    def test_the_affordable_share_that_removes_most_comes_first(
        self, cash: int, before: tuple[int, ...], after: list[int]
    ) -> None:
        assert fill(self.NAMES, cash, before) == after

    def test_a_fee_that_is_paid_already_is_not_paid_again(self) -> None:
        assert fill([FEES], 510, [4]) == [5]
        assert fill([FEES], 509, [4]) == [4]
        assert fill([FEES, PLAIN], 520, [4, 0]) == [5, 1]

    def test_what_was_chosen_before_is_not_changed_in_place(self) -> None:
        before = [0, 0, 0]
        fill(self.NAMES, 90, before)
        assert before == [0, 0, 0]


@pytest.mark.parametrize(("cash", "most"), [(102, 0), (103, 1), (308, 2), (309, 3), (409, 3), (410, 4), (9999, 8)])
def test_most_affordable_shares(cash: int, most: int) -> None:
    assert most_affordable(FEES, 0, 8, cash) == most


def test_most_affordable_shares_within_bounds() -> None:
    assert most_affordable(FEES, 2, 5, 9999) == 5
    assert most_affordable(FEES, 2, 5, 206) == 2
    assert most_affordable(FEES, 4, 4, 410) == 4
