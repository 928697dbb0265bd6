"""What a gateway tells of fills, and in which order: settings of the scenario, each as seen in real traffic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import ib_async
import pytest

from sandbox.gateway.scenario import Gateway as GatewaySettings
from sandbox.gateway.scenario import Orders
from sandbox.gateway.server import Gateway
from sandbox.gateway.timekeeping import Timekeeping
from tests.integration.gateway.clients import ACCOUNT, connected, limit, market, run, serving, stock, until

NOON = datetime(2026, 11, 26, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("settings", "stamp", "greeting"),
    [
        ({}, "20261126 12:00:00 US/Eastern", "20261126 12:00:00 EST"),
        ({"time_zone": "Asia/Tokyo", "zone_name": "JST"}, "20261127 02:00:00 JST", "20261127 02:00:00 JST"),
        ({"execution_time": "local"}, "20261126 12:00:00", "20261126 12:00:00 EST"),
        ({"execution_time": "utc"}, "20261126-17:00:00", "20261126 12:00:00 EST"),
        ({"clock_ahead_s": -90}, "20261126 11:58:30 US/Eastern", "20261126 11:58:30 EST"),
    ],
)
def test_every_form_of_time(settings: dict[str, Any], stamp: str, greeting: str) -> None:
    time = Timekeeping(GatewaySettings.model_validate(settings))
    assert (time.stamp(NOON), time.connection_time(NOON)) == (stamp, greeting)


def test_a_zone_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="zone_name says how it is written"):
        GatewaySettings.model_validate({"time_zone": "JST"})


@pytest.mark.parametrize(("zone", "listed"), [("Etc/GMT", 1), ("Etc/GMT-7", 0)])
def test_lists_begin_at_the_gateways_own_midnight(zone: str, listed: int) -> None:
    """An order that ended at 16:59 UTC, looked at a minute later: in UTC+7 that was yesterday."""

    async def scenario() -> None:
        now = datetime(2026, 11, 26, 16, 59, 59, tzinfo=UTC)
        async with serving({"gateway": {"time_zone": zone}}, clock=lambda: now) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("QQQ"), market("BUY", 10))
            await until(trade.isDone)
            now = datetime(2026, 11, 26, 17, 0, 1, tzinfo=UTC)
            assert len(await ib.reqExecutionsAsync()) == listed
            assert len(await ib.reqCompletedOrdersAsync(False)) == listed

    run(scenario())


@pytest.mark.parametrize(("answer", "told"), [("whole", 4), ("partial", 2), ("empty", 0)])
def test_the_answer_to_a_request_for_executions_may_lack_what_was_pushed(answer: str, told: int) -> None:
    fills = {"mode": "partial", "slices": 4, "delay_ms": 0, "interval_ms": 1}

    async def scenario() -> None:
        async with serving({"fills": fills, "faults": {"executions": answer}}) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("QQQ"), market("BUY", 10))
            await until(lambda: len(trade.fills) == 4)
            async with connected(gateway, 2) as other:
                assert len(await other.reqExecutionsAsync()) == told

    run(scenario())


async def completed(gateway: Gateway) -> ib_async.Trade:
    async with connected(gateway) as ib:
        trade = ib.placeOrder(stock("QQQ"), market("BUY", 10, "ref-1"))
        await until(trade.isDone)
        return (await ib.reqCompletedOrdersAsync(False))[0]


def test_a_completed_order_lacks_what_the_scenario_says() -> None:
    async def scenario() -> None:
        async with serving() as gateway:
            order = (await completed(gateway)).order
            assert (order.totalQuantity, order.account, order.orderRef) == (0, ACCOUNT, "ref-1"), "as real ones do"
            assert order.filledQuantity == 10
        async with serving({"gateway": {"completed_order_omits": ["account", "order_ref", "filled"]}}) as gateway:
            order = (await completed(gateway)).order
            assert (order.totalQuantity, order.account, order.orderRef) == (10, "", "")
            assert order.filledQuantity > 1e300

    run(scenario())


class Transcript:
    """Statuses, executions and codes of one client's orders, in order."""

    def __init__(self, ib: ib_async.IB) -> None:
        self.lines: list[str] = []
        interpret = ib.client.decoder.interpret

        def hear(fields: list[str]) -> None:
            match fields[0]:
                case "3":
                    self.lines.append(fields[2])
                case "11":
                    self.lines.append("execution")
                case "59":
                    self.lines.append("commission")
                case "4" if fields[2] != "-1":
                    self.lines.append(fields[3])
            interpret(fields)

        ib.client.decoder.interpret = hear


FILLED = {
    "orderly": ["PreSubmitted", "Submitted", "execution", "Filled", "commission"],
    "captured": ["PreSubmitted", "execution", "Filled", "Filled", "commission"],
    "filled_first": ["PreSubmitted", "Filled", "execution", "Filled", "commission"],
}
CANCELLED = {
    "orderly": ["PreSubmitted", "Submitted", "PendingCancel", "202", "Cancelled"],
    "captured": ["PreSubmitted", "Submitted", "PendingCancel", "Cancelled", "202"],
}
REJECTED = {"orderly": ["201", "Cancelled"], "captured": ["Inactive", "201", "Inactive"]}


@pytest.mark.parametrize("life", Orders.model_fields["life"].annotation.__args__)
def test_the_life_of_an_order_is_told_in_the_scenarios_order(life: str) -> None:
    async def scenario() -> None:
        setup = {"orders": {"life": life}, "faults": {"rejections": {"VXX": {"code": 201}}}}
        async with serving(setup) as gateway, connected(gateway) as ib:
            heard = Transcript(ib)
            ib.placeOrder(stock("QQQ"), market("BUY", 10))
            await until(lambda: heard.lines[-1:] == ["commission"])
            assert heard.lines == FILLED[life]
            heard.lines.clear()
            trade = ib.placeOrder(stock("QQQ"), limit("BUY", 10, "5"))
            await until(lambda: heard.lines[-1:] == ["Submitted"])
            ib.cancelOrder(trade.order)
            expected = CANCELLED.get(life, CANCELLED["captured"])
            await until(lambda: len(heard.lines) == len(expected))
            assert heard.lines == expected
            heard.lines.clear()
            ib.placeOrder(stock("VXX"), market("BUY", 1))
            expected = REJECTED.get(life, REJECTED["captured"])
            await until(lambda: len(heard.lines) == len(expected))
            assert heard.lines == expected
            ended = await ib.reqCompletedOrdersAsync(False)
            assert len(ended) == (3 if life == "orderly" else 2), "a rejected order is in no list of a real gateway"

    run(scenario())


def test_a_real_gateway_pushes_own_open_orders_before_it_names_the_accounts() -> None:
    async def scenario() -> None:
        async with serving({"orders": {"life": "captured"}}) as gateway:
            async with connected(gateway, 5) as ib:
                trade = ib.placeOrder(stock("QQQ"), limit("BUY", 10, "5"))
                await until(lambda: trade.orderStatus.status == "Submitted")
            again = ib_async.IB()
            first: list[str] = []
            interpret = again.client.decoder.interpret

            def hear(fields: list[str]) -> None:
                first.append(fields[0])
                interpret(fields)

            again.client.decoder.interpret = hear
            await again.connectAsync(*gateway.address, clientId=5)
            again.disconnect()
            assert first[:4] == ["5", "3", "53", "15"]

    run(scenario())
