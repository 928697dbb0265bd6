"""What a dollar of cash is worth in dollars of deviation, worked out on paper."""

from __future__ import annotations

from fractions import Fraction

import pytest

from rebalancer.planning.whole_shares.ladders import Ladder
from rebalancer.planning.whole_shares.relaxation import Relaxation, relax

CHEAP = Ladder(wanted=3, unit_cost=10, unit_value=10, last_value=2, unit_fee=0, fee_minimum=0, fee_cap=0)
"""The third share removes 1/5 of what it costs, the others all of it."""
DEAR = Ladder(wanted=2, unit_cost=20, unit_value=10, last_value=10, unit_fee=0, fee_minimum=0, fee_cap=0)
"""Each share removes a half of what it costs."""
WITH_FEE = Ladder(wanted=3, unit_cost=10, unit_value=10, last_value=10, unit_fee=0, fee_minimum=5, fee_cap=1000)
"""15, 25, 35: with the last share the fee is saved too."""


def relaxed(cash: int, *ladders: Ladder) -> tuple[Fraction, list[int]]:
    found = relax(ladders, cash)
    return found.price, list(found.quantities)


@pytest.mark.parametrize(
    ("cash", "price", "quantities"),
    [
        pytest.param(69, "1/5", [2, 2], id="a part of the share that is worth least"),
        pytest.param(60, "1/5", [2, 2], id="all of it"),
        pytest.param(59, "1/2", [2, 1], id="then the next"),
        pytest.param(40, "1/2", [2, 1], id="half of the next"),
        pytest.param(39, "1/2", [2, 0], id="a little more than half"),
        pytest.param(20, "1/2", [2, 0], id="all of the next"),
        pytest.param(19, "1", [1, 0], id="what is worth most comes last"),
        pytest.param(10, "1", [1, 0], id="one of it is left"),
        pytest.param(1, "1", [0, 0], id="nothing is left"),
    ],
)
def test_what_costs_least_deviation_for_a_dollar_is_dropped_first(cash: int, price: str, quantities: list[int]) -> None:
    assert relaxed(cash, CHEAP, DEAR) == (Fraction(price), quantities)


def test_a_name_of_which_nothing_is_wanted_changes_nothing() -> None:
    none = Ladder(wanted=0, unit_cost=10, unit_value=1, last_value=1, unit_fee=0, fee_minimum=0, fee_cap=0)
    assert relaxed(59, CHEAP, none, DEAR) == (Fraction(1, 2), [2, 0, 1])


def test_of_equal_prices_the_first_name_gives_way() -> None:
    assert relaxed(70, DEAR, DEAR) == (Fraction(1, 2), [1, 2])


@pytest.mark.parametrize(("cash", "quantities"), [(34, [2]), (25, [2]), (24, [1]), (15, [1]), (14, [0])])
def test_where_a_fee_is_saved_too_the_price_is_of_the_whole_way(cash: int, quantities: list[int]) -> None:
    """Dropping one at a time would seem to cost 10 for 10 at first; all three cost 30 for 35."""
    assert relaxed(cash, WITH_FEE) == (Fraction(30, 35), quantities)


def test_a_way_that_is_not_worth_it_is_left_at_its_corner() -> None:
    """Of 6, the last wanted one removes 1 for 10; then 5 a share, and the first costs the fee besides."""
    ladder = Ladder(wanted=6, unit_cost=10, unit_value=5, last_value=1, unit_fee=0, fee_minimum=5, fee_cap=1000)
    assert relaxed(56, ladder) == (Fraction(1, 10), [5])
    assert relaxed(55, ladder) == (Fraction(1, 10), [5])
    assert relaxed(54, ladder) == (Fraction(25, 55), [4])


def test_less_than_no_cash_is_an_error_of_the_caller() -> None:
    with pytest.raises(AssertionError, match=r"^buying nothing is always affordable$"):
        relax([CHEAP, DEAR], -1)


def test_the_purchase_next_to_it_is_affordable() -> None:
    assert relax([CHEAP], 25) == Relaxation(Fraction(1, 5), [2])
