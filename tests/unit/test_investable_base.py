"""The level that a plan measures its targets with, where guesses jump about before they agree, or never do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

import pytest

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import EXACT, HALF, ONE, ZERO
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.planning.holdings import Stock
from rebalancer.planning.investable_base import SizingInputs, solve_investable_base
from rebalancer.planning.rules import PlanningRules
from tests.unit.test_planning import FREE, RULES, account, orders, plan, quotes, targets

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


QUIET = Stock("A", held=Decimal(10), weight=HALF, mid=Decimal(100), sell_price=Decimal(99), buy_price=Decimal(102))
"""No buy of it is wanted up to an equity of 2100, where its target is 10.5 shares. A share costs 2 or 1."""
OTHER = Stock("B", held=ZERO, weight=Decimal("0.2"), mid=Decimal(10), sell_price=Decimal(7), buy_price=Decimal(11))
OLD = Stock("C", held=Decimal(5), weight=ZERO, mid=Decimal(30), sell_price=Decimal(20), buy_price=Decimal(40))


def level(equity: str, *stocks: Stock, cash: str = "9999", **rules: Decimal) -> Decimal:
    with localcontext(EXACT):
        made = PlanningRules(ZERO, fees=FREE, **rules)
        return solve_investable_base(SizingInputs(stocks or (QUIET,), Decimal(equity), Decimal(cash), made))


class TestWhatCostsAreCounted:
    """With 1 USD an order."""

    INPUTS = SizingInputs(
        (QUIET, replace(OTHER, lot=10), OLD), Decimal(2200), ZERO, PlanningRules(ZERO, fees=FeeSchedule(ZERO, ONE, ONE))
    )

    def test_a_step_is_the_dearer_side_of_a_lot_of_each_target(self) -> None:
        """3 for A, whose buys are dear, 31 for B, whose sells are."""
        assert self.INPUTS.step_cost() == 3 + 31

    def test_what_is_not_traded_pays_no_fee(self) -> None:
        """A lot of B and 5 of what left the strategy."""
        assert self.INPUTS.wanted_cost(Decimal(2100)) == 40 * 1 + 1 + 5 * 10 + 1

    def test_small_trades_count_where_all_do(self) -> None:
        patient = replace(self.INPUTS, rules=replace(self.INPUTS.rules, share_threshold=Decimal(3)))
        assert (patient.wanted_cost(Decimal(2500)), patient.full_cost(Decimal(2500))) == (51 + 51, 5 + 51 + 51)

    def test_the_reserve_is_not_invested(self) -> None:
        kept = replace(self.INPUTS, rules=PlanningRules(Decimal("0.1"), reserve_amount=Decimal(50)))
        assert kept.investable(Decimal(2000)) == 1750
        assert kept.investable(Decimal(40)) == 0


class TestTheHighestLevelAtWhichNothingIsWanted:
    @pytest.mark.parametrize(
        ("equity", "found"),
        [
            pytest.param("2106.00000001", "2100", id="three steps and a grain away"),
            pytest.param("2106.00000002", "2104.00000002", id="a grain more"),
            pytest.param("2099.5", "2099.5", id="below it nothing is lacking"),
        ],
    )
    def test_it_serves_while_three_steps_cost_what_it_lacks(self, equity: str, found: str) -> None:
        assert level(equity) == Decimal(found)

    @pytest.mark.parametrize(
        ("equity", "found"), [("2410.00000001", "2400"), ("2410.00000002", "2406.00000002")], ids=["at", "beyond"]
    )
    def test_and_all_trades_that_are_too_small(self, equity: str, found: str) -> None:
        """At 2400 two shares are lacking, which cost 4 and are not more than the threshold."""
        assert level(equity, share_threshold=Decimal(2)) == Decimal(found)

    @pytest.mark.parametrize(("cash", "found"), [("102", "2100"), ("101.99", "2104")])
    def test_only_a_buy_that_can_be_paid_limits_it(self, cash: str, found: str) -> None:
        assert level("2104", cash=cash) == Decimal(found)

    def test_the_lowest_limit_counts(self) -> None:
        """A alone allows 2100, B with 41.9 shares 2120, with 41.3 shares 2090."""
        held = [replace(OTHER, held=Decimal(shares)) for shares in ("41.9", "41.3")]
        assert [level("2104", QUIET, other) for other in held] == [2100, 2090]
        assert [level("2104", other, QUIET) for other in held] == [2100, 2090]

    def test_what_is_never_bought_does_not_limit_it(self) -> None:
        short = replace(OTHER, held=Decimal(-5), weight=Decimal("0.9"))
        assert level("2104", short, QUIET) == 2100

    def test_it_does_not_serve_where_something_is_to_be_sold(self) -> None:
        """A share of C costs 10, after which none of A is wanted; half a share of C is no order."""
        assert level("2104", QUIET, replace(OLD, held=ONE)) == 2104 - 10
        assert level("2104", QUIET, replace(OLD, held=HALF)) == 2100

    def test_a_dollar_is_a_level(self) -> None:
        """At 1 USD half a share is lacking; the guess after the costs would be 1.30."""
        tiny = Stock("A", held=ZERO, weight=ONE, mid=Decimal(2), sell_price=Decimal(2), buy_price=Decimal("2.2"))
        assert level("1.5", tiny) == 1

    def test_less_than_the_grid_is_refused(self) -> None:
        with pytest.raises(Refused, match="trading would cost more than the equity"):
            level("0.000000009")

    def test_levels_are_rounded_down_to_the_grid(self) -> None:
        assert level("2099.000000019") == Decimal("2099.00000001")
        third = replace(QUIET, weight=Decimal("0.49"))
        assert level("2144", third) == Decimal("2142.85714285")


@pytest.mark.parametrize(("held", "equity"), [(0, 1_000_000), (10_000, 999_000)], ids=["buys", "sells"])
def test_where_no_level_comes_back_the_lower_of_the_last_two_serves(held: int, equity: int) -> None:
    """Of a quote whose bid is a fiftieth of the mid: 32 guesses jump up and down, ever less, or fall, ever less."""
    wild = Stock("A", Decimal(held), weight=ONE, mid=Decimal(100), sell_price=Decimal(2), buy_price=Decimal(198))
    guesses = [equity]
    while len(guesses) < 32:
        shares, beyond = divmod(abs(guesses[-1] - 100 * held), 100)
        guesses.append(equity - 98 * (shares + (beyond > 50)))
    assert len(set(guesses)) == len(guesses)
    assert level(str(equity), wild) == min(guesses[-2:])
