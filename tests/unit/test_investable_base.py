"""The level that a plan measures its targets with, where guesses jump about before they agree, or never do."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import EXACT, ZERO
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.planning.holdings import Stock
from rebalancer.planning.investable_base import SizingInputs, solve_investable_base
from rebalancer.planning.rules import PlanningRules
from tests.unit.test_planning import RULES, account, orders, plan, quotes, targets

Row = tuple[int, str, int]
"""Shares held, weight in parts of the whole, USD by which bid and ask differ from a mid of 100."""


def inputs(rows: list[Row], cash: int, fee: int) -> SizingInputs:
    parts = sum(Decimal(weight) for _, weight, _ in rows)
    whole = max(parts, Decimal(10))
    mid = Decimal(100)
    stocks = [
        Stock(chr(65 + number), Decimal(held), Decimal(weight) / whole, mid, mid - spread, mid + spread)
        for number, (held, weight, spread) in enumerate(rows)
    ]
    equity = sum((stock.value for stock in stocks), Decimal(cash))
    return SizingInputs(stocks, equity, Decimal(cash), PlanningRules(ZERO, fees=FeeSchedule(ZERO, Decimal(fee), mid)))


@pytest.mark.parametrize(
    ("rows", "cash", "fee", "guesses", "level"),
    [
        pytest.param([(30, "1", 4), (15, "5", 1)], 470, 20, [4970, 4820, 4821, 4821], 4821, id="they agree, upwards"),
        pytest.param(
            [(6, "3", 0), (21, "4", 4), (2, "3", 4)], 387, 20, [3287, 3163, 3167, 3163], 3163, id="two alternate"
        ),
        pytest.param(
            [(22, "3", 4), (2, "5", 4), (0, "6", 4)],
            400,
            1,
            [2800, 2653, 2661, 2657, 2661],
            2657,
            id="two alternate after a lower guess",
        ),
        pytest.param([(13, "3", 4), (29, "1", 1)], 326, 1, [4526, 4496, 4500, 4501, 4496], 4496, id="three take turns"),
    ],
)
def test_the_lowest_of_the_levels_that_come_back(
    rows: list[Row], cash: int, fee: int, guesses: list[int], level: int
) -> None:
    with localcontext(EXACT):
        asked = inputs(rows, cash, fee)
        assert [asked.equity, *(asked.equity - asked.wanted_cost(Decimal(guess)) for guess in guesses[:-1])] == guesses
        assert solve_investable_base(asked) == level


def test_costs_beyond_equity_are_refused_with_it() -> None:
    rules = PlanningRules(ZERO, fees=FeeSchedule(minimum=Decimal(20), maximum_rate=Decimal(1)))
    with pytest.raises(Refused) as caught:
        plan(account({"SPY": "1000"}, "-99990", "10"), targets(SPY="1"), quotes(SPY="100"), rules)
    assert caught.value.reason == "trading would cost more than the equity of 10 USD"
    assert caught.value.numbers == {"equity": "10"}


def test_a_dollar_is_enough_to_plan_with() -> None:
    assert orders(plan(account({}, "1", "1"), targets(A="1"), quotes(A="0.5"), RULES)) == [("BUY", "A", 2)]
