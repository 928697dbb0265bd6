"""How many idle dollars go back into the base currency: the example of the documents, and each bound."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.domain.orders import Fill
from rebalancer.domain.portfolio import AccountSnapshot, BaseCurrency, Position, Quote, Side, TargetWeight
from rebalancer.domain.units import NO_USD, Ratio, Usd
from rebalancer.planning import PlanningRules
from rebalancer.planning.conversion import Exchange, counting, every_order, plan_converted
from rebalancer.planning.conversion_back import (
    LEAST,
    back_limit,
    cost_back,
    idle_dollars,
    order_back,
    plan_back,
)
from rebalancer.planning.expected_books import books_after
from rebalancer.planning.inputs import PlanInputs
from tests.property.planning_worlds import NOW
from tests.unit.test_conversion import QUOTES, euros, pair

HELD = {"SPY": 311, "GLD": 250, "TLT": 245, "QQQ": 239, "VXX": 184}
"""What the example of the way there has bought."""
SMALL = Usd(Decimal(50_000))
"""Equity of which 1 % is less than the least that goes back."""


def inputs_of(exchange: Exchange, dollars: str) -> PlanInputs:
    there = Usd(Decimal(dollars))
    worth = sum(count * 100 for count in HELD.values())
    positions = tuple(Position(symbol, Decimal(count)) for symbol, count in HELD.items())
    equity = Usd(worth + there + exchange.counted)
    account = AccountSnapshot("DU1", NOW, equity, there, None, None, positions, base=exchange.base)
    weights = (TargetWeight("SPY", Ratio(Decimal("0.25"))), TargetWeight("TLT", Ratio(Decimal("0.15"))))
    rules = PlanningRules(reserve_fraction=Ratio(Decimal("0.01")), minimum_weight_sum=Ratio(Decimal("0.01")))
    return PlanInputs(counting(account, exchange), weights, QUOTES, rules)


def test_the_example_of_the_documents() -> None:
    exchange, there = euros("1555.03"), Usd(Decimal("125.39"))
    inputs = inputs_of(exchange, "125.39")
    made = plan_converted(inputs, exchange=exchange, dollars=there)
    assert (round(made.plan.equity, 2), made.conversion) == (Decimal("124967.77"), None)
    paid, order = plan_back(inputs, made.parked, exchange, dollars=there, proceeds_pay=True)
    assert order is not None
    brought = sum(one.notional - one.fee for one in paid.plan.sells)
    assert round(brought, 2) == Decimal("73387.22")
    assert round(idle_dollars(paid.plan, there), 2) == Decimal("72240.06")
    assert (order.side, order.quantity, back_limit(exchange)) == (Side.BUY, 57_756, Decimal("1.25070"))
    assert round(there + brought - exchange.dollars(order), 2) == Decimal("1311.83")
    commission = order.fee * exchange.per_dollar
    assert (round(commission, 2), round(exchange.base.cash + order.quantity - commission, 2)) == (
        Decimal("1.60"),
        Decimal("59309.43"),
    )
    assert paid.plan.equity == made.plan.equity - cost_back(replace(order, quantity=order.quantity), exchange)


def test_without_proceeds_only_dollars_that_are_there_are_given_away() -> None:
    exchange, there = euros("1555.03"), Usd(Decimal("125.39"))
    inputs = inputs_of(exchange, "125.39")
    made = plan_converted(inputs, exchange=exchange, dollars=there).parked
    assert plan_back(inputs, made, exchange, dollars=there, proceeds_pay=False) == (made, None)


@pytest.mark.parametrize(("idle", "quantity"), [("1001.25", None), ("1001.26", 800)])
def test_less_than_a_thousand_dollars_and_a_lot_stay(idle: str, quantity: int | None) -> None:
    order = order_back(Usd(Decimal(idle)), SMALL, euros())
    assert (order and order.quantity) == quantity
    assert LEAST == 1_000


def test_less_than_a_hundredth_of_equity_stays() -> None:
    equity = Usd(Decimal(500_000))
    assert order_back(Usd(Decimal(5_001)), equity, euros()) is None
    order = order_back(Usd(Decimal(5_002)), equity, euros())
    assert order is not None
    assert order.quantity == 3_999


def test_lots_are_kept_to() -> None:
    assert order_back(Usd(Decimal(2_250)), SMALL, euros(lot=1_000)) is None
    order = order_back(Usd(Decimal(2_600)), SMALL, euros(lot=1_000))
    assert order is not None
    assert order.quantity == 2_000


def test_what_is_kept_of_the_base_currency_is_not_filled_up() -> None:
    assert order_back(Usd(Decimal(9_000)), SMALL, euros("4999", kept="5000")) is None
    assert order_back(Usd(Decimal(9_000)), SMALL, euros("5000", kept="5000"))


def test_a_pair_that_begins_with_dollars_is_sold_below_its_bid() -> None:
    quote = Quote("USD.CHF", Decimal("0.79995"), Decimal("0.8"), NOW)
    base = BaseCurrency("CHF", Decimal("0.8"), Decimal(0))
    exchange = Exchange(base, pair("USD.CHF"), quote, Decimal(0), Ratio(Decimal("0.01")))
    order = order_back(Usd(Decimal("20000.5")), SMALL, exchange)
    assert order is not None
    assert (order.side, order.quantity, order.price) == (Side.SELL, 20_000, Decimal("0.79995"))
    assert back_limit(exchange) == Decimal("0.79200")
    assert exchange.dollars(order) == 20_000


def test_the_way_back_stands_after_all_other_orders() -> None:
    sell, buy, back = ({"side": side, "symbol": symbol} for side, symbol in (("SELL", "A"), ("BUY", "B"), ("BUY", "C")))
    plan = {"orders": [buy, sell], "conversion": {"order": None, "back": back}}
    assert every_order(plan) == [sell, buy, back]


@pytest.mark.parametrize(("euro_cash", "shown"), [("11000", True), ("10986", True), ("10985", False), ("1000", False)])
def test_books_without_the_euros_that_were_bought_are_not_believed(euro_cash: str, shown: bool) -> None:
    """A commission, and a thousandth, may be missing."""
    base = BaseCurrency("EUR", Decimal("0.8"), Decimal(1_000))
    before = AccountSnapshot("DU1", NOW, NO_USD, Usd(Decimal(20_000)), None, None, (), base=base)
    fill = Fill("ref", "x.01", NOW, "DU1", "EUR.USD", Side.BUY, Decimal(10_000), Decimal("1.25"), Decimal(10_000), 1)
    books = books_after(before, [fill], {}, Usd(Decimal(1)))
    told = replace(before, cash=Usd(Decimal(7_500)), base=replace(base, cash=Decimal(euro_cash)))
    lacking = books.lacking(told)
    assert (lacking is None) is shown
    assert shown or "where there must be" in (lacking or "")
