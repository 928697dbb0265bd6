"""By how much an account differs from its plan once all orders have ended."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from rebalancer.domain.errors import Refused
from rebalancer.domain.portfolio import Plan
from rebalancer.planning import off_plan, plan
from tests.unit.test_planning import RULES, account, orders, quotes, targets

PRICES = quotes(SPY="100", QQQ="50", GLD="200")
BUYING = plan(account({}, "1000", "1000"), targets(SPY="1"), PRICES, RULES)
SELLING = plan(account({"SPY": "10"}, "0", "1000"), targets(GLD="1"), PRICES, RULES)


def off(made: Plan, held: Mapping[str, str], cash: str) -> dict[str, Decimal]:
    return off_plan(made, account(held, cash, "1000"), PRICES, RULES)


def test_orders_that_filled_leave_nothing_off() -> None:
    assert orders(BUYING) == [("BUY", "SPY", 10)]
    assert off(BUYING, {"SPY": "10"}, "0") == {}
    assert orders(SELLING) == [("SELL", "SPY", 10), ("BUY", "GLD", 5)]
    assert off(SELLING, {"GLD": "5"}, "0") == {}


def test_a_buy_is_off_by_what_the_cash_still_allows() -> None:
    assert off(BUYING, {"SPY": "6"}, "400") == {"SPY": Decimal(400)}
    assert off(BUYING, {"SPY": "6"}, "250") == {"SPY": Decimal(200)}
    assert off(BUYING, {"SPY": "6"}, "50") == {}


def test_a_sell_that_did_not_fill_is_off_by_its_shares() -> None:
    assert off(SELLING, {"SPY": "3", "GLD": "3"}, "100") == {"SPY": Decimal(300)}


def test_more_than_was_planned_is_off_and_so_is_what_left_without_an_order() -> None:
    assert off(BUYING, {"SPY": "12"}, "0") == {"SPY": Decimal(200)}
    assert off(BUYING, {"SPY": "11"}, "0") == {"SPY": Decimal(100)}
    assert off(BUYING, {"SPY": "10.9"}, "0") == {}
    resting = plan(account({"SPY": "10"}, "0", "1000"), targets(SPY="1"), PRICES, RULES)
    assert orders(resting) == []
    assert off(resting, {"SPY": "8"}, "200") == {"SPY": Decimal(200)}


def test_less_than_a_lot_is_not_off() -> None:
    held = account({"SPY": "10"}, "0", "1000")
    lots = plan(held, targets(GLD="1"), PRICES, RULES, {"SPY": 5})
    assert orders(lots)[0] == ("SELL", "SPY", 10)
    assert off(lots, {"SPY": "4", "GLD": "5"}, "0") == {}
    assert off(lots, {"SPY": "5", "GLD": "5"}, "0") == {"SPY": Decimal(500)}


def test_cash_that_is_no_number_is_refused() -> None:
    with pytest.raises(Refused, match="cash"):
        off(BUYING, {}, "NaN")
