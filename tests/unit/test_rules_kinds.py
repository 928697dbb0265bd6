"""Kinds of rebalance, fixed reserves and drift bands, by example."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.planning import PlanningRules, plan, size_buys
from tests.unit.test_planning import FREE, RULES, account, line, orders, quotes, targets

DRIFTED = account({"SPY": "70", "QQQ": "40"}, "1000", "10000")
HALVES = targets(SPY="0.5", QQQ="0.5")
PRICES = quotes(SPY="100", QQQ="50")


def test_invest_cash_buys_what_is_below_target_and_sells_nothing() -> None:
    made = plan(DRIFTED, HALVES, PRICES, replace(RULES, kind=RebalanceMode.BUY_ONLY))
    assert orders(made) == [("BUY", "QQQ", 20)]
    assert line(made, "SPY").note == "off by 20 shares: no such order in a buy-only rebalance"


def test_raise_cash_sells_just_enough_of_what_is_most_above_target() -> None:
    rules = replace(RULES, kind=RebalanceMode.RAISE_CASH, reserve_amount=Decimal(2550))
    made = plan(DRIFTED, HALVES, PRICES, rules)
    assert orders(made) == [("SELL", "SPY", 16)]
    assert made.sells[0].reason.endswith("16 bring the cash that is asked for")
    assert line(made, "QQQ").note == "off by 34.5 shares: no such order in a raise-cash rebalance"
    assert size_buys(made, DRIFTED, PRICES, rules) == ()


def test_most_above_target_is_most_dollars() -> None:
    """SPY is 10 shares of 1,000 USD above it, QQQ 18 of 900."""
    held = account({"SPY": "60", "QQQ": "118", "GLD": "10"}, "0", "12900")
    rules = replace(RULES, kind=RebalanceMode.RAISE_CASH, reserve_amount=Decimal(400))
    made = plan(held, targets(SPY="0.4", QQQ="0.4", GLD="0.2"), quotes(SPY="100", QQQ="50", GLD="100"), rules)
    assert orders(made) == [("SELL", "SPY", 4)]


def test_cash_that_is_there_already_is_not_raised_again() -> None:
    made = plan(DRIFTED, HALVES, PRICES, replace(RULES, kind=RebalanceMode.RAISE_CASH, reserve_amount=Decimal(1000)))
    assert orders(made) == []
    assert line(made, "SPY").note == "not sold: the cash that is asked for is there without it"


def test_a_fixed_reserve_stays_cash() -> None:
    made = plan(account({}, "10000", "10000"), targets(SPY="1"), PRICES, replace(RULES, reserve_amount=Decimal(2500)))
    assert orders(made) == [("BUY", "SPY", 75)]
    assert (made.reserve, made.investable) == (2500, 7500)


def test_more_cash_than_there_is_equity_is_refused_with_both() -> None:
    with pytest.raises(Refused) as caught:
        plan(DRIFTED, HALVES, PRICES, PlanningRules(Decimal("0.1"), fees=FREE, reserve_amount=Decimal(9000)))
    assert caught.value.rule == "reserve_exceeds_equity"
    assert caught.value.numbers == {"reserve": "10000.0", "equity": "10000"}


@pytest.mark.parametrize(
    ("absolute", "relative", "traded"),
    [
        ("0", "0", ["A", "B"]),
        ("0.03", "0", ["A"]),
        ("0", "0.25", ["B"]),
        ("0.03", "0.25", ["A", "B"]),
        ("0.10", "0.50", []),
    ],
)
def test_the_tighter_of_both_bands_decides(absolute: str, relative: str, traded: list[str]) -> None:
    """A is 4 points, 8 % of its target too heavy; B 2 points, 40 % too light; C, the rest, 2 points, 4.4 %."""
    snapshot = account({"A": "540", "B": "30", "C": "430"}, "0", "10000")
    rules = PlanningRules(ZERO, drift_band=Decimal(absolute), relative_band=Decimal(relative), fees=FREE)
    made = plan(snapshot, targets(A="0.5", B="0.05", C="0.45"), quotes(A="10", B="10", C="10"), rules)
    drifted = [line.symbol for line in made.lines if line.symbol != "C" and not (line.note or "").startswith("drift")]
    assert drifted == traded


@pytest.mark.parametrize("shares", range(1, 21))
def test_not_a_share_more_is_sold_than_brings_the_cash(shares: int) -> None:
    """Cash is 1,000, a share brings 100."""
    for reserve in (Decimal(1000 + 100 * shares), Decimal(1000 + 100 * shares) - Decimal("99.99")):
        rules = replace(RULES, kind=RebalanceMode.RAISE_CASH, reserve_amount=reserve)
        assert orders(plan(DRIFTED, HALVES, PRICES, rules)) == [("SELL", "SPY", shares)]


def test_fees_have_to_be_brought_too() -> None:
    flat = FeeSchedule(ZERO, Decimal(5), Decimal(1000))
    rules = replace(RULES, kind=RebalanceMode.RAISE_CASH, fees=flat)
    assert orders(plan(DRIFTED, HALVES, PRICES, replace(rules, reserve_amount=Decimal(1095)))) == [("SELL", "SPY", 1)]
    assert orders(plan(DRIFTED, HALVES, PRICES, replace(rules, reserve_amount=Decimal(1096)))) == [("SELL", "SPY", 2)]
    part = replace(RULES, kind=RebalanceMode.RAISE_CASH, fees=flat, reserve_fraction=Decimal("0.1"))
    short = account({"SPY": "70", "QQQ": "40"}, "999.70", "10000")
    assert orders(plan(short, HALVES, PRICES, part)) == [("SELL", "SPY", 1)], (
        "the reserve is not lower for what is not sold"
    )


def test_what_is_sold_less_of_has_the_fee_of_that() -> None:
    each = FeeSchedule(Decimal(1), ZERO, Decimal(1))
    rules = replace(RULES, kind=RebalanceMode.RAISE_CASH, fees=each, reserve_amount=Decimal(1190))
    (sell,) = plan(DRIFTED, HALVES, PRICES, rules).sells
    assert (sell.quantity, sell.fee) == (2, 2)


@pytest.mark.parametrize(
    ("reserve", "sold"),
    [
        ("500", [("SELL", "B", 5)]),
        ("2000", [("SELL", "B", 20)]),
        ("2500", [("SELL", "B", 20), ("SELL", "A", 5)]),
    ],
)
def test_what_is_most_above_its_target_is_sold_first(reserve: str, sold: list[tuple[str, str, int]]) -> None:
    """A is 1,000 above its target and the larger holding, B 2,000."""
    rules = replace(RULES, kind=RebalanceMode.RAISE_CASH, minimum_weight_sum=ZERO, reserve_amount=Decimal(reserve))
    held = account({"A": "60", "B": "40"}, "0", "10000")
    base = 10_000 - Decimal(reserve)
    weights = targets(A=str(5000 / base), B=str(2000 / base))
    assert orders(plan(held, weights, quotes(A="100", B="100"), rules)) == sold


def test_what_costs_more_to_sell_than_it_brings_raises_no_cash() -> None:
    for fee in (Decimal(4), Decimal(5)):
        fees = FeeSchedule(ZERO, fee, Decimal(1000))
        rules = replace(RULES, kind=RebalanceMode.RAISE_CASH, reserve_amount=Decimal(3), fees=fees)
        made = plan(account({"A": "2", "B": "10"}, "0", "1004"), targets(B="1"), quotes(A="2", B="100"), rules)
        assert orders(made) == []


def test_what_brings_nothing_is_passed_over_for_what_does() -> None:
    """1,000 shares at a cent cost 20 USD to sell, one at five dollars two cents."""
    fees = FeeSchedule(Decimal("0.02"), ZERO, Decimal(1000))
    rules = replace(RULES, kind=RebalanceMode.RAISE_CASH, reserve_amount=Decimal(4), fees=fees)
    held = account({"A": "1000", "B": "1", "C": "100"}, "0", "10015")
    made = plan(held, targets(C="1"), quotes(A="0.01", B="5", C="100"), rules)
    assert orders(made) == [("SELL", "B", 1)]
