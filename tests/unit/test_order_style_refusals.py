"""Which refusals are of the way an order is worked, and until when a closing auction takes orders."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rebalancer.domain.closing_auctions import cutoffs
from rebalancer.domain.order_styles import refuses_style


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (387, "Unsupported order type for this exchange and security type."),
        (439, "Order processing failed. Algorithm definition not found"),
        (440, "Order modify failed. Algorithm cannot be modified."),
        (441, "Algo attributes validation failed:maxPctVol=abc"),
        (442, "Specified algorithm is not allowed for this order."),
        (443, "Order processing failed. Unknown algo attribute:strategyType"),
        (145, "Error in validating entry fields -Bogus"),
        (10314, "startTime: The date, time, or time-zone entered is invalid."),
        (391, "End Time: The date, time, or time-zone entered is invalid."),
        (111, "The TIF (time in force) and the order type are incompatible."),
        (396, "Due to system problems, application is currently accepting only Market and Limit orders."),
        (400, "Algo order error."),
        (321, "Error validating request.-'bW' : cause - Invalid order type was entered"),
        (201, "Order rejected - reason:Market-on-close orders can no longer be entered."),
        (201, "Order rejected - reason:The exchange no longer takes MOC orders today"),
        (201, "Order rejected - reason:This order type is not supported in this account."),
        (202, "Order Canceled - reason:Vwap: start time is after close time"),
    ],
)
def test_the_broker_refuses_the_style(code: int, text: str) -> None:
    assert refuses_style(code, text)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            201,
            "Order rejected - reason:Your account has insufficient funds. AVAILABLE FUNDS [1 USD]",
        ),
        (201, "Order rejected - reason:Exchange is closed."),
        (201, "Order rejected - reason:No trading permissions. Please allocate LOCALLY."),
        (202, "Order Canceled - reason:"),
        (202, "Order Canceled - reason:Cancelled at the end of the day"),
        (321, "Error validating request: The API interface is currently in Read-Only mode."),
        (110, "The price does not conform to the minimum price variation for this contract."),
        (200, "No security definition has been found for the request"),
        (10311, "This order will be directly routed to the exchange; precautionary settings forbid it."),
        (2109, "Attribute 'Outside Regular Trading Hours' is ignored based on the order type and destination."),
    ],
)
def test_the_broker_refuses_the_order_or_nothing(code: int, text: str) -> None:
    assert not refuses_style(code, text)


@pytest.mark.parametrize("exchange", ["NYSE", "ARCA", "AMEX", "BATS", "IEX", ""])
def test_ten_minutes_before_the_close_is_the_last_moment_almost_everywhere(exchange: str) -> None:
    times = cutoffs(exchange)
    assert times.market == times.limit == times.cancel == timedelta(minutes=10)


@pytest.mark.parametrize("exchange", ["NASDAQ", "ISLAND", "NASDAQ.NMS"])
def test_nasdaq_takes_orders_longer_than_cancels(exchange: str) -> None:
    times = cutoffs(exchange)
    assert times.limit < times.market < times.cancel == timedelta(minutes=10)
    assert times.market == timedelta(minutes=5)
