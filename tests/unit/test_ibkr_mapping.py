"""Where floats and sentinels end."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import ib_async
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import OrderRequest, PriceStep, split_execution_id
from rebalancer.domain.portfolio import MarketDataType, OrderType, Side, TimeInForce
from rebalancer.ibkr import BrokerOptions, mapping

UNSET = 1.7976931348623157e308


@given(st.floats(min_value=-1e15, max_value=1e15))
def test_decimal_is_the_shortest_text_of_the_float(value: float) -> None:
    number = mapping.decimal(value)
    assert number is not None
    assert float(number) == value


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, UNSET, -UNSET])
def test_sentinels_are_no_number(value: float | None) -> None:
    assert mapping.decimal(value) is None
    assert mapping.price(value) is None
    assert mapping.amount(value) == 0


@pytest.mark.parametrize("value", [-1, -1.0, 0, 0.0, -0.01])
def test_prices_that_are_not_positive_are_no_quote(value: float) -> None:
    assert mapping.price(value) is None


def test_whole_quantities_have_no_fraction() -> None:
    assert str(mapping.decimal(100.0)) == "100"
    assert str(mapping.decimal(0.1)) == "0.1"
    assert str(mapping.price(41.37)) == "41.37"


@pytest.mark.parametrize("text", ["", "n/a", "NaN", "Infinity", "1.7976931348623157E308"])
def test_account_values_that_are_no_numbers_are_absent(text: str) -> None:
    assert mapping.decimal_text(text) is None


def test_account_values_are_exact() -> None:
    assert mapping.decimal_text("123456.78") == Decimal("123456.78")


def test_every_status_name_maps_to_itself_and_an_unknown_one_may_still_fill() -> None:
    assert [mapping.order_status(status.value) for status in OrderStatus] == list(OrderStatus)
    assert mapping.order_status("SomethingNew").can_fill


@pytest.mark.parametrize(
    ("text", "side"),
    [("BUY", Side.BUY), ("BOT", Side.BUY), ("SELL", Side.SELL), ("SLD", Side.SELL), ("SSHORT", Side.SELL)],
)
def test_sides_of_orders_and_executions(text: str, side: Side) -> None:
    assert mapping.side(text) is side


@pytest.mark.parametrize(
    ("execution_id", "key"),
    [
        ("0000e0d5.00000001.01.01", ("0000e0d5.00000001.01", 1)),
        ("0000e0d5.00000001.01.02", ("0000e0d5.00000001.01", 2)),
        ("odd", ("odd", 0)),
        ("odd.tail", ("odd.tail", 0)),
        ("", ("", 0)),
    ],
)
def test_execution_id_holds_identity_and_revision(execution_id: str, key: tuple[str, int]) -> None:
    assert split_execution_id(execution_id) == key


@pytest.mark.parametrize("tick", [0.0, math.nan, UNSET])
def test_definition_without_tick_size_is_unusable(tick: float) -> None:
    details = ib_async.ContractDetails(contract=ib_async.Contract(symbol="SPY"), minTick=tick)
    with pytest.raises(ValueError, match="not usable"):
        mapping.instrument(details)


def definition(**fields: Any) -> ib_async.ContractDetails:
    contract = ib_async.Contract(symbol="SPY", conId=5, secType="STK", currency="USD", primaryExchange="ARCA")
    return ib_async.ContractDetails(contract=contract, minTick=0.0001, **fields)


@pytest.mark.parametrize(
    ("exchanges", "rules", "number"),
    [("ARCA,SMART,NYSE", "557,26,557", 26), ("ARCA", "26", 26), ("", "", None), ("SMART,ARCA", "", None)],
)
def test_market_rule_is_the_one_of_smart(exchanges: str, rules: str, number: int | None) -> None:
    assert mapping.market_rule_id(definition(validExchanges=exchanges, marketRuleIds=rules)) == number


def test_price_steps_need_a_beginning_and_no_hole() -> None:
    rule = [ib_async.PriceIncrement(1.0, 0.01), ib_async.PriceIncrement(0.0, 0.0001)]
    steps = (PriceStep(Decimal(0), Decimal("0.0001")), PriceStep(Decimal(1), Decimal("0.01")))
    assert mapping.price_steps(rule) == steps
    assert mapping.price_steps([]) == mapping.price_steps(rule[:1]) == ()
    assert mapping.price_steps([ib_async.PriceIncrement(0.0, 0.0)]) == ()


@pytest.mark.parametrize(
    ("minimum", "increment", "lot"),
    [
        (1, 1, 1),
        (0.0001, 0.0001, 1),
        (10, 10, 10),
        (1, 10, 10),
        (25, 10, 30),
        (30, 10, 30),
        (5, 1, 5),
        (0.5, 2.5, 5),
        (1.5, 1, 2),
        (0, 0, 1),
        (-1, -10, 1),
        (math.nan, math.nan, 1),
        (UNSET, UNSET, 1),
        (2147483647, 2147483647, 1),
        (100, UNSET, 100),
        (math.inf, 5, 5),
    ],
)
def test_every_multiple_of_a_lot_keeps_to_the_sizes_of_the_definition(
    minimum: float, increment: float, lot: int
) -> None:
    details = definition(minSize=minimum, sizeIncrement=increment, suggestedSizeIncrement=100)
    assert mapping.instrument(details).lot == lot


def test_a_definition_that_says_nothing_of_sizes_means_single_shares() -> None:
    assert mapping.instrument(definition()).lot == 1


@pytest.mark.parametrize(("kind", "currency"), [("OPT", "USD"), ("STK", "EUR")])
def test_definition_of_something_else_is_no_instrument(kind: str, currency: str) -> None:
    details = definition()
    details.contract = ib_async.Contract(symbol="SPY", conId=5, secType=kind, currency=currency)
    with pytest.raises(ValueError, match="not usable"):
        mapping.instrument(details)


def request(**fields: object) -> OrderRequest:
    values = {
        "order_ref": "r",
        "account_id": "DU1",
        "symbol": "SPY",
        "contract_id": 1,
        "side": Side.BUY,
        "quantity": 3,
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "limit_price": Decimal("41.37"),
        **fields,
    }
    return OrderRequest(**values)  # type: ignore[arg-type]


def test_limit_price_is_sent_without_passing_a_float() -> None:
    assert mapping.ib_order(request()).lmtPrice == Decimal("41.37")


def test_market_order_has_no_limit_price() -> None:
    order = mapping.ib_order(request(order_type=OrderType.MARKET, limit_price=None))
    assert mapping.decimal(order.lmtPrice) is None
    assert (order.tif, order.account, order.orderRef, order.transmit) == ("DAY", "DU1", "r", True)


@pytest.mark.parametrize("fields", [{"limit_price": None}, {"quantity": 0}, {"quantity": -5}])
def test_senseless_order_is_not_built(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="order r has no"):
        mapping.ib_order(request(**fields))


@pytest.mark.parametrize("data_type", [MarketDataType.DELAYED, MarketDataType.DELAYED_FROZEN])
def test_delayed_data_need_a_second_word(data_type: MarketDataType) -> None:
    with pytest.raises(ConfigurationError, match="allow_delayed"):
        BrokerOptions(market_data_type=data_type)


def test_only_live_quotes_are_accepted_by_default() -> None:
    assert BrokerOptions().accepted_data_types == {MarketDataType.LIVE}
    assert BrokerOptions(market_data_type=MarketDataType.FROZEN).accepted_data_types == {
        MarketDataType.LIVE,
        MarketDataType.FROZEN,
    }
    assert BrokerOptions(allow_delayed=True).requested_data_type is MarketDataType.DELAYED
