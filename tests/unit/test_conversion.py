"""How much of another currency is sold for a plan's buys: the example of the documents, and each bound."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.domain.currencies import CurrencyPair, dollars, per_dollar
from rebalancer.domain.errors import Refused
from rebalancer.domain.orders import Instrument, PriceStep
from rebalancer.domain.portfolio import AccountSnapshot, BaseCurrency, Position, Quote, Side, TargetWeight
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import NO_USD, Ratio, Shares, Usd
from rebalancer.planning import PlanningRules
from rebalancer.planning.conversion import (
    WORTH_IT,
    ConvertedPlan,
    Exchange,
    conversion_note,
    counting,
    dollars_kept,
    every_order,
    order_for,
    plan_converted,
)
from rebalancer.planning.inputs import PlanInputs
from rebalancer.risk.conversions import check_rate, too_much
from tests.property.planning_worlds import NOW

TICK = Decimal("0.00005")
WEIGHTS = {"SPY": "0.251", "VXX": "0.149", "GLD": "0.202", "TLT": "0.198", "QQQ": "0.193"}
QUOTES = {symbol: Quote(symbol, Decimal("99.99"), Decimal("100.01"), NOW) for symbol in WEIGHTS}


def pair(symbol: str, lot: int = 1) -> Instrument:
    return Instrument(symbol, 1, "IDEALPRO", TICK, "UTC", "", "", (PriceStep(Decimal(0), TICK),), lot, "CASH")


def euros(cash: str = "100000", kept: str = "0", bid: str = "1.2499", ask: str = "1.2501", lot: int = 1) -> Exchange:
    base = BaseCurrency("EUR", Decimal("0.8"), Decimal(cash))
    quote = Quote("EUR.USD", Decimal(bid), Decimal(ask), NOW)
    return Exchange(base, pair("EUR.USD", lot), quote, Decimal(kept), Ratio(Decimal("0.0005")))


def planned(exchange: Exchange, dollars: str = "0") -> ConvertedPlan:
    there = Usd(Decimal(dollars))
    equity = Usd(there + exchange.counted)
    account = AccountSnapshot("DU1", NOW, equity, there, None, None, (), base=exchange.base)
    weights = [TargetWeight(symbol, Ratio(Decimal(weight))) for symbol, weight in WEIGHTS.items()]
    rules = PlanningRules(reserve_fraction=Ratio(Decimal("0.01")))
    inputs = PlanInputs(counting(account, exchange), tuple(weights), QUOTES, rules)
    return plan_converted(inputs, exchange=exchange, dollars=there)


def test_the_example_of_the_documents() -> None:
    exchange = euros()
    made = planned(exchange)
    order = made.conversion
    assert order is not None
    assert round(exchange.counted, 2) == Decimal("124988.75")
    assert round(made.plan.reserve, 2) == Decimal("1249.68")
    assert round(dollars_kept(made.plan), 2) == Decimal("124.99")
    cost = sum(one.notional + one.fee for one in made.plan.buys)
    assert cost == Decimal("122918.515")
    assert (order.side, order.quantity, exchange.limit(order)) == (Side.SELL, 98_443, Decimal("1.24930"))
    left = exchange.base.cash - exchange.taken(order)
    assert round(left, 2) == Decimal("1555.03")
    assert round(exchange.dollars(order) - cost, 2) == Decimal("125.39")
    assert "are sold for" in conversion_note(exchange, order)


def test_the_reserves_fund_is_not_bought_from_euros_that_are_not_worth_a_conversion() -> None:
    exchange = euros("170")
    equity = Usd(Decimal(5_000) + exchange.counted)
    account = AccountSnapshot("DU1", NOW, equity, NO_USD, None, None, (Position("SPY", Shares(Decimal(50))),))
    rules = PlanningRules(Ratio(Decimal(0)), reserve_amount=Usd(Decimal(1_000)), kind=RebalanceMode.BUY_ONLY)
    quotes = {**QUOTES, "SGOV": QUOTES["SPY"]}
    weights = (TargetWeight("SPY", Ratio(Decimal(1))),)
    inputs = PlanInputs(counting(account, exchange), weights, quotes, rules, reserve_symbol="SGOV")
    made = plan_converted(inputs, exchange=exchange, dollars=NO_USD)
    assert (made.conversion, made.plan.orders) == (None, ())
    enough = plan_converted(inputs, exchange=exchange, dollars=exchange.counted)
    assert [order.symbol for order in enough.plan.orders] == ["SGOV"]


def test_dollars_that_are_there_come_first_and_may_suffice() -> None:
    some = planned(euros(), "60000").conversion
    assert some is not None
    assert some.quantity < 98_000
    assert planned(euros("800"), "60000").conversion is None
    assert "nothing of it" in conversion_note(euros(), None)


def test_what_is_kept_is_neither_counted_nor_sold() -> None:
    exchange = euros(kept="40000")
    made = planned(exchange)
    assert made.conversion is not None
    assert exchange.taken(made.conversion) <= 60_000
    assert euros(kept="100000").counted == euros(kept="99999999").counted == Decimal("-1.2499"), "a lot"
    some = planned(euros(kept="99000"), "50000").conversion
    assert some is not None
    assert some.quantity < 1_000


@pytest.mark.parametrize(
    ("missing", "quantity"), [("199.99", None), ("200", 161), ("1249.90", 1_000), ("1249.91", 1_001)]
)
def test_a_conversion_is_rounded_up_and_worth_its_commission(missing: str, quantity: int | None) -> None:
    order = order_for(Usd(Decimal(missing)), euros())
    assert (order and order.quantity) == quantity
    assert WORTH_IT == 200


def test_lots_are_kept_to_and_less_than_one_is_nothing() -> None:
    order = order_for(Usd(Decimal(1_300)), euros(lot=1_000))
    assert order is not None
    assert order.quantity == 2_000
    assert order_for(Usd(Decimal(1_300)), euros("900", lot=1_000)) is None


def test_a_limit_never_asks_for_more_than_there_is() -> None:
    base = BaseCurrency("CHF", Decimal("0.8"), Decimal("8001.65"))
    quote = Quote("USD.CHF", Decimal("0.79995"), Decimal("0.8"), NOW)
    exchange = Exchange(base, pair("USD.CHF"), quote, Decimal(0), Ratio(Decimal("0.01")))
    order = order_for(Usd(Decimal(20_000)), exchange)
    assert order is not None
    assert (order.side, order.symbol, order.quantity) == (Side.BUY, "USD.CHF", 9_999)
    assert exchange.limit(order) == Decimal("0.80005"), "the collar would allow 0.808"
    assert order.quantity * exchange.limit(order) <= base.cash
    assert exchange.limit(replace(order, quantity=100)) == Decimal("0.80800")


@pytest.mark.parametrize(
    ("bid", "ask", "refused"),
    [("1.2499", "1.2501", False), ("1.2376", "1.2376", False), ("1.2374", "1.2374", True), ("1.2627", "1.2627", True)],
)
def test_the_brokers_rate_may_differ_from_the_market_by_the_tolerance(bid: str, ask: str, refused: bool) -> None:
    exchange, tolerance = euros(bid=bid, ask=ask), Ratio(Decimal("0.01"))
    if not refused:
        check_rate(exchange.base, exchange.pair, exchange.quote, tolerance)
        return
    with pytest.raises(Refused, match=r"more than 1\.0 % apart") as refusal:
        check_rate(exchange.base, exchange.pair, exchange.quote, tolerance)
    assert refusal.value.rule is Rule.EXCHANGE_RATE_DISAGREES


def test_the_days_conversions_have_a_limit() -> None:
    limit = Usd(Decimal(1_000))
    assert too_much(Usd(Decimal(400)), Usd(Decimal(600)), limit) == ()
    assert too_much(Usd(Decimal("400.01")), Usd(Decimal(600)), limit) == (
        "the day's conversions are 1000.01 USD, more than 1000",
    )
    assert too_much(Usd(Decimal(1)), NO_USD, NO_USD)


@pytest.mark.parametrize(
    "symbol", ["BRK B", "BRK.B", "ABC.CNT", "XYZ.OLD", "EUR.EUR", "EUR.GBP", "USD", "EURUSD", "", "."]
)
def test_what_is_no_pair_with_dollars_is_none(symbol: str) -> None:
    assert CurrencyPair.read(symbol) is None
    assert dollars(symbol, Decimal(3), Decimal(2)) == 6


def test_a_pair_is_worth_what_it_moves_in_dollars() -> None:
    assert dollars("EUR.USD", Decimal(100), Decimal("1.25")) == 125
    assert dollars("USD.CHF", Decimal(100), Decimal("0.8")) == 100
    franc = CurrencyPair("USD", "CHF")
    assert (per_dollar(franc, Decimal("0.8")), per_dollar(franc, Decimal(0))) == (Decimal("0.8"), 0)


def test_a_conversion_stands_between_sells_and_buys() -> None:
    sell, buy, between = (
        {"side": "SELL", "symbol": "A"},
        {"side": "BUY", "symbol": "B"},
        {"side": "SELL", "symbol": "C"},
    )
    assert every_order({"orders": [buy, sell], "conversion": {"order": between}}) == [sell, between, buy]
    assert every_order({"orders": [buy, sell], "conversion": {"order": None}}) == [sell, buy]
    assert every_order({}) == []
