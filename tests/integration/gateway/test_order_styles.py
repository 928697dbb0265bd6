"""Order types and algorithms beside market and limit orders: what is refused, how they fill, how they are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ib_async
import pytest

from rebalancer.domain.order_states import OrderStatus
from sandbox.gateway.server import Gateway
from tests.integration.gateway.clients import (
    ACCOUNT,
    connected,
    controlling,
    errors_of,
    limit,
    market,
    run,
    serving,
    stock,
    until,
    wire,
)

NEW_YORK = ZoneInfo("America/New_York")
QUICK = {"quotes": {"interval_ms": 10}}
LISTED: dict[str, Any] = {"instruments": {"SPY": {"exchange": "ARCA"}, "QQQ": {"exchange": "NASDAQ"}}}


class Clock:
    """The gateway's clock, which stands still until a test sets it."""

    def __init__(self, at: str, day: str = "2026-11-20") -> None:
        self.day = day
        self.set(at)

    def set(self, at: str) -> None:
        self.now = datetime.fromisoformat(f"{self.day}T{at}").replace(tzinfo=NEW_YORK).astimezone(UTC)

    def __call__(self) -> datetime:
        return self.now


def on_exchange(clock: Clock, **overrides: Any) -> Any:
    """A gateway with the exchange's hours and this clock."""
    setup: dict[str, Any] = {**QUICK, **LISTED, "market": {"mode": "calendar"}, **overrides}
    return serving(setup, clock=clock)


def styled(kind: str, action: str = "BUY", quantity: int = 1, price: float | None = None, **fields: Any) -> Any:
    """A DAY order of that type."""
    terms = {"account": ACCOUNT, "tif": "DAY", **fields}
    order = ib_async.Order(orderType=kind, action=action, totalQuantity=quantity, **terms)
    if price is not None:
        order.lmtPrice = price
    return order


def worked_by(strategy: str, action: str = "BUY", quantity: int = 1, price: float | None = None, **tags: str) -> Any:
    """A market or limit order that an algorithm works."""
    params = [ib_async.TagValue(tag, value) for tag, value in tags.items()]
    kind = "MKT" if price is None else "LMT"
    return styled(kind, action, quantity, price, algoStrategy=strategy, algoParams=params)


def said(ib: ib_async.IB) -> list[tuple[int, str]]:
    """Code and text of everything that the gateway reports from now on."""
    seen: list[tuple[int, str]] = []
    ib.errorEvent += lambda _request, code, text, *_rest: seen.append((code, text))
    return seen


def status_of(gateway: Gateway) -> OrderStatus:
    return gateway.orders[-1].status


# -- refusals --------------------------------------------------------------------------------------------------------

REFUSED = [
    (worked_by("Inline"), 439, "Algorithm definition not found"),
    (worked_by("Vwap", speed="1"), 443, "Unknown algo attribute:speed"),
    (worked_by("Adaptive", adaptivePriority="Bogus"), 145, "Error in validating entry fields -Bogus"),
    (worked_by("Adaptive", adaptivePriority="urgent"), 145, "-urgent"),
    (worked_by("Vwap", maxPctVol="abc"), 441, "validation failed:maxPctVol=abc"),
    (worked_by("Vwap", maxPctVol="99"), 441, "greater than maximum value 50.0"),
    (worked_by("Vwap", maxPctVol="0"), 441, "less than minimum value 0.01"),
    (worked_by("Vwap", startTime="9am"), 10314, "startTime: The date, time, or time-zone entered is invalid."),
    (worked_by("Vwap", endTime="15:00:00 Nowhere/Else"), 10314, "endTime: "),
    (styled("MIDPRICE", algoStrategy="Adaptive"), 442, "not allowed for this order"),
    (styled("MOC", tif="GTC"), 111, "order type are incompatible"),
    (styled("LOC", price=100.0, tif="GTC"), 111, "order type are incompatible"),
    (styled("MIDPRICE", tif="GTC"), 111, "order type are incompatible"),
    (market("BUY", 1, tif="GTC", algoStrategy="Adaptive"), 111, "order type are incompatible"),
    (styled("LOC"), 321, "Missing limit price"),
    (styled("MIDPRICE", price=100.005), 110, "minimum price variation"),
    (styled("MOO"), 387, "Unsupported order type"),
]


@pytest.mark.parametrize(("order", "code", "text"), REFUSED)
def test_a_style_that_is_wrong_is_refused_before_it_reaches_the_book(order: Any, code: int, text: str) -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            seen = said(ib)
            order.orderId = 0  # parametrized orders are shared between runs
            ib.placeOrder(stock("SPY"), order)
            await until(lambda: seen)
            assert [found for found, _ in seen] == [code]
            assert text in seen[0][1]
            assert not gateway.orders

    run(scenario())


@pytest.mark.parametrize("order", [styled("MIDPRICE"), styled("MOC"), worked_by("Adaptive")])
def test_styles_are_of_stocks_alone(order: Any) -> None:
    pair = {"con_id": 12087792, "name": "Euro", "security_type": "CASH", "symbol": "EUR", "currency": "USD"}
    listed = {"EUR.USD": {**pair, "exchange": "IDEALPRO", "price": 1.16, "min_tick": 0.00005}}

    async def scenario() -> None:
        setup = {"instruments": listed, "currencies": {"EUR": "1.16"}}
        async with serving(setup) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            order.orderId = 0
            ib.placeOrder(ib_async.Forex("EURUSD"), order)
            await until(lambda: errors)
            assert errors[0][1] == 387

    run(scenario())


@pytest.mark.parametrize(
    ("style", "order", "code"),
    [
        ("MIDPRICE", styled("MIDPRICE"), 387),
        ("MOC", styled("MOC"), 387),
        ("LOC", styled("LOC", price=1.0), 387),
        ("Adaptive", worked_by("Adaptive"), 442),
        ("Vwap", worked_by("Vwap"), 442),
    ],
)
def test_a_broker_may_refuse_a_style_and_take_the_plain_order(style: str, order: Any, code: int) -> None:
    async def scenario() -> None:
        async with serving({"faults": {"refused_styles": [style]}}) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            order.orderId = 0
            ib.placeOrder(stock("SPY"), order)
            await until(lambda: errors)
            assert [found for _, found in errors] == [code]
            plain = ib.placeOrder(stock("SPY"), market("BUY", 1))
            await until(plain.isDone)
            assert plain.orderStatus.status == "Filled"

    run(scenario())


def test_the_algorithm_of_a_working_order_cannot_be_changed() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            order = worked_by("Adaptive", price=1.0, adaptivePriority="Patient")
            trade = ib.placeOrder(stock("SPY"), order)
            await until(lambda: trade.orderStatus.status == "Submitted")
            order.algoParams = [ib_async.TagValue("adaptivePriority", "Urgent")]
            wire(ib).placeOrder(order.orderId, stock("SPY"), order)
            await until(lambda: errors)
            assert errors[0][1] == 440

    run(scenario())


# -- how they are told -----------------------------------------------------------------------------------------------


def test_an_open_order_and_a_completed_one_tell_their_algorithm() -> None:
    async def scenario() -> None:
        async with on_exchange(Clock("12:00")) as gateway, connected(gateway) as ib:
            times: dict[str, Any] = {"startTime": "20261120-14:30:00", "endTime": "16:00:00 US/Eastern"}
            order = worked_by("Vwap", price=1.0, maxPctVol="0.1", **times, allowPastEndTime="1", noTakeLiq="0")
            trade = ib.placeOrder(stock("SPY"), order)
            await until(lambda: trade.orderStatus.status == "Submitted")
            async with connected(gateway, client_id=2) as other:
                listed = (await other.reqAllOpenOrdersAsync())[0].order
                assert listed.algoStrategy == "Vwap"
                tags = [one.tag for one in listed.algoParams]
                assert tags == ["noTakeLiq", "allowPastEndTime", "startTime", "maxPctVol", "endTime"]
                assert listed.algoParams[2].value == "20261120 09:30:00 US/Eastern"
                assert listed.algoParams[4].value == "20261120 16:00:00 US/Eastern"
                ib.cancelOrder(order)
                await until(trade.isDone)
                ended = (await other.reqCompletedOrdersAsync(apiOnly=False))[0].order
                assert (ended.algoStrategy, len(ended.algoParams)) == ("Vwap", 5)

    run(scenario())


@pytest.mark.parametrize(
    "order",
    [
        styled("MIDPRICE"),
        styled("MIDPRICE", price=700.0),
        styled("MOC"),
        styled("LOC", price=700.0),
        worked_by("Adaptive", adaptivePriority="Normal"),
        worked_by("Vwap", price=700.0, maxPctVol="0.1"),
    ],
)
def test_a_what_if_order_of_each_style_is_answered(order: Any) -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            order.orderId = 0
            state = await ib.whatIfOrderAsync(stock("SPY"), order)
            assert float(state.initMarginChange) > 0
            assert not gateway.orders

    run(scenario())


def test_a_time_without_a_zone_is_remarked_upon() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            trade = ib.placeOrder(stock("SPY"), worked_by("Vwap", price=1.0, startTime="09:30:00"))
            await until(lambda: gateway.orders and gateway.orders[0].status is OrderStatus.SUBMITTED)
            await until(lambda: errors)
            assert [code for _, code in errors] == [2174]
            assert not trade.isDone()

    run(scenario())


@pytest.mark.parametrize("order", [styled("MIDPRICE"), styled("MOC")])
def test_hours_outside_the_session_mean_nothing_to_them(order: Any) -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            order.orderId, order.outsideRth = 0, True
            ib.placeOrder(stock("SPY"), order)
            await until(lambda: gateway.orders)
            await until(lambda: errors)
            assert errors[0][1] == 2109

    run(scenario())


# -- Adaptive --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["BUY", "SELL"])
def test_an_adaptive_order_fills_between_mid_and_far_side_the_better_the_more_patient(action: str) -> None:
    async def scenario() -> None:
        held = {"accounts": {ACCOUNT: {"positions": {"SPY": 10}}}}
        async with serving(held) as gateway, connected(gateway) as ib:
            quote = gateway.exchange.market.quote("SPY")
            for priority in ("Urgent", "Normal", "Patient"):
                trade = ib.placeOrder(stock("SPY"), worked_by("Adaptive", action, adaptivePriority=priority))
                await until(trade.isDone)
                assert trade.orderStatus.status == "Filled"
            urgent, normal, patient = (one.price for one in gateway.executions)
            far = quote.ask if action == "BUY" else quote.bid
            improvement = [abs(far - price) for price in (urgent, normal, patient)]
            assert improvement == sorted(improvement)
            assert len(set(improvement)) == 3
            assert all(0 < better < abs(far - quote.mark) for better in improvement)
            waited = [one.at - order.placed_at for one, order in zip(gateway.executions, gateway.orders, strict=True)]
            assert waited == sorted(waited)

    run(scenario())


def test_an_adaptive_order_looks_no_further_than_its_limit() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            quote = gateway.exchange.market.quote("SPY")
            inside = float(quote.mark) + 0.01
            trade = ib.placeOrder(stock("SPY"), worked_by("Adaptive", price=inside, adaptivePriority="Urgent"))
            await until(trade.isDone)
            assert gateway.executions[0].price == Decimal(str(inside))
            below = ib.placeOrder(stock("SPY"), worked_by("Adaptive", price=float(quote.bid)))
            late = ib.placeOrder(stock("SPY"), worked_by("Adaptive", adaptivePriority="Patient"))
            await until(late.isDone)
            assert not below.isDone()

    run(scenario())


# -- MIDPRICE --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [None, 10_000.0])
def test_a_midprice_order_fills_at_the_mid(cap: float | None) -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            mid = gateway.exchange.market.quote("SPY").mark
            trade = ib.placeOrder(stock("SPY"), styled("MIDPRICE", price=cap))
            await until(trade.isDone)
            assert gateway.executions[0].price == mid

    run(scenario())


def test_a_midprice_order_waits_until_the_mid_is_within_its_cap() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), styled("MIDPRICE", price=500.0))
            await until(lambda: trade.orderStatus.status == "Submitted")
            gateway.exchange.set_price("SPY", Decimal(499))
            await until(trade.isDone)
            assert gateway.executions[0].price == gateway.exchange.market.quote("SPY").mark < 500

    run(scenario())


def test_a_midprice_order_fills_in_regular_hours_only() -> None:
    async def scenario() -> None:
        clock = Clock("08:00")
        async with on_exchange(clock) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            trade = ib.placeOrder(stock("SPY"), styled("MIDPRICE", outsideRth=True))
            await until(lambda: {code for _, code in errors} == {399, 2109})
            assert status_of(gateway) is OrderStatus.PRE_SUBMITTED
            clock.set("09:30")
            await until(trade.isDone)
            assert trade.orderStatus.status == "Filled"

    run(scenario())


# -- on close --------------------------------------------------------------------------------------------------------


def test_a_market_on_close_order_rests_and_fills_at_the_closing_price() -> None:
    async def scenario() -> None:
        clock = Clock("15:00")
        async with on_exchange(clock) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), styled("MOC", quantity=3))
            await until(lambda: trade.orderStatus.status == "PreSubmitted")
            clock.set("15:59:59")
            gateway.exchange.set_price("SPY", Decimal(610))
            assert status_of(gateway) is OrderStatus.PRE_SUBMITTED
            clock.set("16:00")
            await until(trade.isDone)
            assert (trade.orderStatus.status, trade.orderStatus.filled) == ("Filled", 3)
            assert gateway.executions[0].price == gateway.exchange.market.quote("SPY").last == Decimal(610)
            assert gateway.executions[0].at == clock.now

    run(scenario())


@pytest.mark.parametrize(
    ("action", "price", "ends"),
    [("BUY", 610.0, "Filled"), ("BUY", 609.0, "Cancelled"), ("SELL", 610.0, "Filled"), ("SELL", 611.0, "Cancelled")],
)
def test_a_limit_on_close_order_fills_within_its_limit_or_ends(action: str, price: float, ends: str) -> None:
    async def scenario() -> None:
        clock, held = Clock("15:00"), {ACCOUNT: {"positions": {"SPY": 5}}}
        async with on_exchange(clock, accounts=held) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), styled("LOC", action, price=price))
            await until(lambda: trade.orderStatus.status == "PreSubmitted")
            gateway.exchange.set_price("SPY", Decimal(610))
            clock.set("16:00")
            await until(trade.isDone)
            assert trade.orderStatus.status == ends

    run(scenario())


def test_what_finds_nobody_in_the_auction_ends_with_it() -> None:
    async def scenario() -> None:
        clock, some = Clock("15:00"), {"mode": "partial", "fraction": 0.5}
        async with on_exchange(clock, fills=some) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), styled("MOC", quantity=10))
            await until(lambda: trade.orderStatus.status == "PreSubmitted")
            clock.set("16:00")
            await until(trade.isDone)
            assert (trade.orderStatus.status, trade.orderStatus.filled) == ("Cancelled", 5)

    run(scenario())


@pytest.mark.parametrize(
    ("symbol", "kind", "last"),
    [("SPY", "MOC", "15:49:59"), ("SPY", "LOC", "15:49:59"), ("QQQ", "MOC", "15:54:59"), ("QQQ", "LOC", "15:57:59")],
)
@pytest.mark.parametrize("half_day", [False, True])
def test_the_last_moment_depends_on_the_exchange_and_the_close(
    symbol: str, kind: str, last: str, *, half_day: bool
) -> None:
    async def scenario() -> None:
        earlier = timedelta(hours=3) if half_day else timedelta()
        closes: dict[str, Any] = {"mode": "calendar"}
        if half_day:
            closes["early_closes"] = {"2026-11-20": "13:00"}
        clock = Clock(last)
        clock.now -= earlier
        price = 1000.0 if kind == "LOC" else None
        async with on_exchange(clock, market=closes) as gateway, connected(gateway) as ib:
            seen = said(ib)
            intime = ib.placeOrder(stock(symbol), styled(kind, price=price))
            await until(lambda: intime.orderStatus.status == "PreSubmitted")
            clock.now += timedelta(seconds=1)
            late = ib.placeOrder(stock(symbol), styled(kind, price=price))
            await until(late.isDone)
            assert [code for code, _ in seen] == [201]
            assert f"{kind} orders are not accepted by" in seen[0][1]
            assert not intime.isDone()

    run(scenario())


def test_an_order_for_the_close_cannot_be_cancelled_after_the_cutoff() -> None:
    async def scenario() -> None:
        clock = Clock("15:30")
        async with on_exchange(clock) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            first, second = (ib.placeOrder(stock("SPY"), styled("MOC")) for _ in range(2))
            await until(lambda: second.orderStatus.status == "PreSubmitted")
            ib.cancelOrder(first.order)
            await until(first.isDone)
            clock.set("15:50")
            wire(ib).cancelOrder(second.order.orderId, "")
            await until(lambda: 10148 in {code for _, code in errors})
            wire(ib).reqGlobalCancel()
            await ib.reqCurrentTimeAsync()
            assert status_of(gateway) is OrderStatus.PRE_SUBMITTED
            clock.set("16:00")
            await until(lambda: status_of(gateway) is OrderStatus.FILLED)

    run(scenario())


def test_an_order_for_the_close_that_comes_while_the_market_is_closed_waits_for_the_next_one() -> None:
    async def scenario() -> None:
        clock = Clock("08:00")
        async with on_exchange(clock) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            trade = ib.placeOrder(stock("SPY"), styled("MOC"))
            await until(lambda: 399 in {code for _, code in errors})
            clock.set("09:31")
            gateway.exchange.step()
            assert status_of(gateway) is OrderStatus.PRE_SUBMITTED
            clock.set("16:00")
            await until(trade.isDone)
            assert trade.orderStatus.status == "Filled"

    run(scenario())


def test_a_gateway_may_say_nothing_of_an_order_for_the_close_and_list_it_all_the_same() -> None:
    async def scenario() -> None:
        silent = {"orders": {"on_close": "silent"}}
        async with serving(silent) as gateway, connected(gateway) as ib, connected(gateway, client_id=2) as other:
            trade = ib.placeOrder(stock("SPY"), styled("MOC"))
            await until(lambda: gateway.orders)
            await ib.reqCurrentTimeAsync()
            assert trade.orderStatus.status == "PendingSubmit"
            listed = await other.reqAllOpenOrdersAsync()
            assert [one.orderStatus.status for one in listed] == ["PreSubmitted"]
            ib.cancelOrder(trade.order)
            await until(trade.isDone)
            assert trade.orderStatus.status == "Cancelled"

    run(scenario())


def test_an_order_for_the_close_may_be_inactive_first_and_one_that_is_not_transmitted_takes_no_part() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"inactive": {"SPY": {"for_ms": 20}}}}) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), styled("MOC"))
            ib.placeOrder(stock("QQQ"), styled("MOC", transmit=False))
            await until(lambda: len(gateway.orders) == 2)
            await until(lambda: [one.status for one in trade.log][-2:] == ["Inactive", "PreSubmitted"])
            assert gateway.exchange.hold_auction() == 1
            await until(lambda: [one.status for one in gateway.orders] == [OrderStatus.FILLED, OrderStatus.API_PENDING])

    run(scenario())


def test_the_control_port_holds_the_auction_at_once() -> None:
    async def scenario() -> None:
        async with serving() as gateway, controlling(gateway) as control, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), styled("MOC"))
            await until(lambda: trade.orderStatus.status == "PreSubmitted")
            assert (await control.post("/auction")).json() == {"orders": 1}
            await until(trade.isDone)
            assert trade.orderStatus.status == "Filled"
            told = (await control.get("/state")).json()["orders"][0]
            assert (told["order_type"], told["algorithm"]) == ("MOC", None)

    run(scenario())


def test_a_session_may_end_at_a_given_moment() -> None:
    async def scenario() -> None:
        clock = Clock("11:00")
        closes = {"mode": "open", "closes": "2026-11-20T11:30:00-05:00"}
        async with on_exchange(clock, market=closes) as gateway, connected(gateway) as ib:
            (details,) = await ib.reqContractDetailsAsync(stock("SPY"))
            assert "20261120:0000-20261120:1130" in details.liquidHours
            trade = ib.placeOrder(stock("SPY"), styled("MOC"))
            await until(lambda: trade.orderStatus.status == "PreSubmitted")
            clock.set("11:20")
            late = ib.placeOrder(stock("SPY"), styled("MOC"))
            await until(late.isDone)
            assert late.orderStatus.status == "Cancelled"
            clock.set("11:30")
            await until(trade.isDone)
            assert trade.orderStatus.status == "Filled"

    run(scenario())


def test_an_order_for_the_close_outlives_the_gateways_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock, setup = Clock("15:00"), {**QUICK, "market": {"mode": "calendar"}}
        async with serving(setup, clock=clock, data=tmp_path / "books.json") as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), styled("MOC"))
            await until(lambda: trade.orderStatus.status == "PreSubmitted")
        clock.set("16:05")
        async with serving(setup, clock=clock, data=tmp_path / "books.json") as gateway:
            assert status_of(gateway) is OrderStatus.FILLED

    run(scenario())


# -- Vwap ------------------------------------------------------------------------------------------------------------


def in_seconds(start_s: float, end_s: float) -> dict[str, Any]:
    """Times of an algorithm, whole seconds from now."""
    now = datetime.now(UTC).replace(microsecond=0)
    stamps = (now + timedelta(seconds=seconds) for seconds in (start_s, end_s))
    return dict(zip(("startTime", "endTime"), (f"{one:%Y%m%d %H:%M:%S} UTC" for one in stamps), strict=True))


def test_a_vwap_order_fills_in_slices_between_its_times_at_the_mid_of_each() -> None:
    async def scenario() -> None:
        moving = {"quotes": {"interval_ms": 10, "move_bps_per_s": 50}, "orders": {"vwap_slices": 5}}
        async with serving(moving) as gateway, connected(gateway) as ib:
            order = worked_by("Vwap", quantity=12, maxPctVol="0.1", **in_seconds(-10, 2))
            trade = ib.placeOrder(stock("SPY"), order)
            await until(trade.isDone)
            assert trade.orderStatus.status == "Filled"
            assert [one.quantity for one in gateway.executions] == [3, 3, 2, 2, 2]
            assert len({one.price for one in gateway.executions}) > 1
            times = [one.at for one in gateway.executions]
            assert all(later - earlier > timedelta(milliseconds=100) for earlier, later in pairwise(times))

    run(scenario())


@pytest.mark.parametrize(("past", "ends"), [("0", "Cancelled"), ("1", "Submitted")])
def test_what_a_vwap_order_has_not_filled_by_its_end_is_cancelled_unless_it_may_go_on(past: str, ends: str) -> None:
    async def scenario() -> None:
        async with serving(QUICK) as gateway, connected(gateway) as ib:
            seen = said(ib)
            order = worked_by("Vwap", price=1.0, allowPastEndTime=past, **in_seconds(0, 1))
            trade = ib.placeOrder(stock("SPY"), order)
            witness = ib.placeOrder(stock("SPY"), worked_by("Vwap", price=1.0, **in_seconds(0, 2)))
            await until(witness.isDone)
            assert trade.orderStatus.status == ends
            assert (202, "Order Canceled - reason:Vwap: end time has passed") in seen
            assert not gateway.executions

    run(scenario())


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ({"startTime": "16:30:00 US/Eastern"}, "Vwap: start time is after close time"),
        ({"endTime": "11:00:00 US/Eastern"}, "Vwap: end time is before start time"),
    ],
)
def test_a_vwap_order_without_time_to_work_is_taken_and_ends(times: dict[str, Any], reason: str) -> None:
    async def scenario() -> None:
        async with on_exchange(Clock("12:00")) as gateway, connected(gateway) as ib:
            seen = said(ib)
            trade = ib.placeOrder(stock("SPY"), worked_by("Vwap", price=1000.0, **times))
            await until(trade.isDone)
            assert trade.orderStatus.status == "Cancelled"
            assert seen == [(202, f"Order Canceled - reason:{reason}")]
            assert not gateway.executions

    run(scenario())


def test_without_an_end_a_vwap_order_works_until_the_close() -> None:
    async def scenario() -> None:
        async with on_exchange(Clock("15:59:58")) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), worked_by("Vwap", quantity=4))
            await until(trade.isDone)
            assert trade.orderStatus.status == "Filled"
            assert len(gateway.executions) == 4

    run(scenario())


def test_plain_orders_say_nothing_of_an_algorithm() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), limit("BUY", 1, 1.0))
            await until(lambda: trade.orderStatus.status == "Submitted")
            assert (trade.order.algoStrategy, trade.order.algoParams) == ("", [])

    run(scenario())
