"""Limits beyond which a person has to look, and how far a plan has moved since."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.domain.account_history import Traded
from rebalancer.domain.money import ZERO
from rebalancer.planning import plan
from rebalancer.risk.limits import Limits, beyond
from rebalancer.risk.plan_change import exceeded, moved, signed_notionals
from tests.unit.test_planning import RULES, account, quotes, targets

WIDE = Limits(Decimal(10**9), Decimal(10), Decimal(10), Decimal(10), 1000, Decimal(10**9), 1000, Decimal("0.1"))
PRICES = quotes(SPY="100", QQQ="50")
SWITCH = plan(account({"SPY": "100"}, "0", "10000"), targets(QQQ="1"), PRICES, RULES)


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({}, []),
        (
            {"order_usd": Decimal(9999)},
            ["SELL 100 SPY is 10000.00 USD, more than 9999", "BUY 200 QQQ is 10000.00 USD, more than 9999"],
        ),
        ({"order_share": Decimal("0.99")}, ["SELL 100 SPY is 100.0 % of equity, more than 99.0 %"] * 2),
        ({"run_turnover": Decimal("1.9")}, ["the run trades 200.0 % of equity, more than 190.0 %"]),
        ({"day_turnover": Decimal("2.4")}, ["the day's trades are 250.0 % of equity, more than 240.0 %"]),
        ({"day_orders": 4}, ["the day's orders are 5, more than 4"]),
        ({"all_day_usd": Decimal(44_999)}, ["the day's trades of all accounts are 45000.00 USD, more than 44999"]),
        ({"all_day_orders": 10}, ["the day's orders of all accounts are 11, more than 10"]),
    ],
)
def test_each_limit_names_its_numbers(change: dict[str, Decimal | int], reasons: list[str]) -> None:
    needs = beyond(
        SWITCH,
        PRICES,
        replace(WIDE, **change),
        today=Traded(3, Decimal(5000)),
        everywhere=Traded(9, Decimal(25_000)),
        collar=ZERO,
    )
    found = list(needs.reasons) if needs else []
    assert [reason.split(" is ")[-1] for reason in found] == [reason.split(" is ")[-1] for reason in reasons]


@pytest.mark.parametrize(
    ("last", "collar", "count"), [("100", "0", 0), ("88", "0", 1), ("92", "0.02", 1), ("92", "0", 0), (None, "0", 0)]
)
def test_a_price_far_from_the_last_trade_needs_a_person(last: str | None, collar: str, count: int) -> None:
    seen = {"SPY": replace(PRICES["SPY"], last=last and Decimal(last)), "QQQ": PRICES["QQQ"]}
    made = plan(account({}, "1000", "1000"), targets(SPY="1"), seen, RULES)
    needs = beyond(made, seen, WIDE, today=Traded(), everywhere=Traded(), collar=Decimal(collar))
    assert len(needs.reasons if needs else ()) == count


def test_the_tighter_of_general_and_own_limits_counts() -> None:
    own = WIDE.and_own(Decimal(5), None, Decimal("0.5"), 2000)
    assert own == replace(WIDE, order_usd=Decimal(5), run_turnover=Decimal("0.5"), day_turnover=Decimal("0.5"))
    assert WIDE.and_own(None, Decimal(99), None, 7) == replace(WIDE, day_orders=7)


def test_a_plan_without_orders_exceeds_nothing() -> None:
    none = replace(WIDE, run_turnover=ZERO, day_turnover=ZERO, day_orders=0, all_day_usd=ZERO, all_day_orders=0)
    quiet = plan(account({"SPY": "100"}, "0", "10000"), targets(SPY="1"), PRICES, RULES)
    busy = Traded(9, Decimal(10**6))
    assert beyond(quiet, PRICES, none, today=busy, everywhere=busy, collar=ZERO) is None


def test_how_far_a_plan_has_moved() -> None:
    shown = signed_notionals(SWITCH.orders)
    assert shown == {"SPY": -10000, "QQQ": 10000}
    assert moved(shown, SWITCH) == exceeded(shown, SWITCH) == 0
    half = replace(SWITCH, sells=(replace(SWITCH.sells[0], quantity=50),), buys=())
    assert moved(shown, half) == Decimal("1.5")
    assert exceeded(shown, half) == 0, "less of an approved order is no move"
    assert exceeded({"SPY": Decimal(10000)}, half) == Decimal("0.5"), "the other direction is"
