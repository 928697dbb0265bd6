"""Every fault, seen by an unmodified client."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import ib_async
import pytest

from rebalancer.domain.order_states import OrderStatus
from sandbox.gateway.fault_settings import Faults
from sandbox.gateway.server import Gateway
from tests.integration.gateway.clients import (
    ACCOUNT,
    bare,
    connected,
    controlling,
    errors_of,
    limit,
    listed,
    market,
    order_fields,
    run,
    serving,
    stock,
    until,
    wire,
)


def switch(gateway: Gateway, **faults: Any) -> None:
    """Replace the faults of a running gateway."""
    gateway.set_faults(Faults.model_validate(faults))


def test_f1_a_client_id_can_be_taken_by_nobody() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"taken_client_ids": [7]}}) as gateway:
            async with bare(gateway) as client:
                await client.greet()
                client.send(71, 2, 7, "")
                assert (await client.receive())[3] == "326"
                await client.closed()
            switch(gateway)
            async with connected(gateway, 7):
                pass

    run(scenario())


@pytest.mark.parametrize("faults", [{"connections": "silence"}, {"dropped_messages": [9]}, {"muted": True}])
def test_f2_a_connection_can_be_accepted_and_never_become_ready(faults: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with serving({"faults": faults}) as gateway:
            ib = ib_async.IB()
            with pytest.raises(TimeoutError):
                await ib.connectAsync(*gateway.address, clientId=1, timeout=0.1)

    run(scenario())


def test_f8_a_connection_can_be_reset_at_once() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"connections": "reset"}}) as gateway, bare(gateway) as client:
            assert await client.closed() == b""

    run(scenario())


def test_f4_a_request_can_stay_unanswered() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"ignored_requests": [99]}}) as gateway:
            ib = ib_async.IB()
            with pytest.raises(ConnectionError, match="completed orders request timed out"):
                await ib.connectAsync(*gateway.address, clientId=1, timeout=0.2, raiseSyncErrors=True)

    run(scenario())


@pytest.mark.parametrize(("when", "fills"), [("before", 0), ("after", 1)])
def test_f5_the_connection_can_break_before_or_after_an_order_reached_the_book(when: str, fills: int) -> None:
    async def scenario() -> None:
        async with serving({"faults": {"order_reset": {"when": when}}}) as gateway:
            async with connected(gateway) as ib:
                ib.placeOrder(stock("SPY"), market("BUY", 1, "uncertain"))
                await until(lambda: not ib.isConnected())
            assert len(gateway.executions) == fills
            async with connected(gateway) as ib:
                assert len(ib.fills()) == fills
                trade = ib.placeOrder(stock("SPY"), market("BUY", 1))
                await until(trade.isDone)

    run(scenario())


def test_f6_a_gateway_can_freeze_with_its_connections_open() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            switch(gateway, muted=True)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ib.reqCurrentTimeAsync(), 0.1)
            assert ib.isConnected()
            switch(gateway)

    run(scenario())


def test_f7_the_gateway_can_lose_ibkr_and_find_it_again() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            gateway.announce(1100, "Connectivity between IB and Trader Workstation has been lost.")
            gateway.announce(1102, "Connectivity has been restored - data maintained.")
            await until(lambda: len(errors) == 2)
            assert errors == [(-1, 1100), (-1, 1102)]

    run(scenario())


def test_f8_a_restart_resets_everyone_refuses_for_a_while_and_forgets_ids() -> None:
    async def scenario() -> None:
        async with serving() as gateway:
            async with connected(gateway) as ib:
                trade = ib.placeOrder(stock("SPY"), limit("BUY", 1, 1.0, "stays"))
                await until(lambda: trade.orderStatus.status == "Submitted")
                before = gateway.exchange.book.next_order_id(1)
                address = gateway.address
                restart = asyncio.ensure_future(gateway.restart(0.1, forgotten_ids=2))
                await until(lambda: not ib.isConnected())
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection(*address)
                await restart
            assert gateway.address == address
            assert gateway.exchange.book.next_order_id(1) == before - 2
            async with connected(gateway) as ib:
                assert [open_trade.order.orderRef for open_trade in ib.openTrades()] == ["stays"]

    run(scenario())


def test_f9_a_filled_order_may_have_no_status() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"dropped_messages": [3, 5]}}) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), market("BUY", 2))
            await until(lambda: trade.filled() == 2)
            assert trade.orderStatus.status == "PendingSubmit"

    run(scenario())


def test_f10_messages_can_come_twice_late_and_out_of_order() -> None:
    async def scenario() -> None:
        faults = {"duplicated_messages": [11, 59], "delayed_ms": {11: 40}}
        async with serving({"faults": faults}) as gateway, bare(gateway, 1) as client:
            client.send(3, 1, *order_fields(178))
            first = [message[0] for message in await client.receive_until(59)]
            assert "11" not in first
            rest = [message[0] for message in (*await client.receive_until(11), await client.receive())]
            assert rest == ["59", "11", "11"]

    run(scenario())


def test_f10_a_commission_can_be_unknown() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"commission": -1}}) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), market("BUY", 2))
            await until(lambda: trade.fills and trade.fills[0].commissionReport.execId)
            assert trade.fills[0].commissionReport.commission == -1

    run(scenario())


def test_f11_a_live_order_can_be_warned_about_and_fill_all_the_same() -> None:
    async def scenario() -> None:
        notices = [{"code": 10349, "times": 1}, {"code": 399}]
        async with serving({"faults": {"order_notices": notices}}) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            trades = [ib.placeOrder(stock("SPY"), market("BUY", 1)) for _ in range(2)]
            await until(lambda: all(trade.orderStatus.status == "Filled" for trade in trades))
            assert [code for _, code in errors] == [10349, 399, 399]

    run(scenario())


def test_f12_orders_can_be_rejected_by_symbol_and_only_so_often() -> None:
    async def scenario() -> None:
        rejections = {"SPY": {"code": 201, "text": "Order rejected - reason:x", "times": 1}, "QQQ": {"code": 460}}
        async with serving({"faults": {"rejections": rejections}}) as gateway, connected(gateway) as ib:
            trades = [ib.placeOrder(stock(symbol), market("BUY", 1)) for symbol in ("SPY", "SPY", "QQQ", "IWM")]
            await until(lambda: all(trade.isDone() for trade in trades))
            found = [order.status for order in gateway.orders]
            assert found == ["Cancelled", "Filled", "Cancelled", "Filled"]

    run(scenario())


def test_f13_fills_can_be_withheld_at_run_time() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            switch(gateway, fills={"SPY": {"mode": "never"}, "*": {"mode": "delayed", "delay_ms": 1}})
            trades = [ib.placeOrder(stock(symbol), market("BUY", 1)) for symbol in ("SPY", "QQQ")]
            await until(trades[1].isDone)
            assert trades[0].orderStatus.status == "Submitted"

    run(scenario())


def test_f14_a_cancel_can_be_refused_while_the_order_works_on() -> None:
    async def scenario() -> None:
        refusals = {"*": {"code": 161, "text": "Cancel attempted when order is not in a cancellable state", "times": 1}}
        async with serving({"faults": {"cancel_refusals": refusals}}) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            trade = ib.placeOrder(stock("SPY"), limit("BUY", 1, 1.0))
            await until(lambda: trade.orderStatus.status == "Submitted")
            wire(ib).cancelOrder(trade.order.orderId)
            await until(lambda: errors)
            assert errors[0][1] == 161
            assert gateway.orders[0].status is OrderStatus.SUBMITTED
            wire(ib).cancelOrder(trade.order.orderId)
            await until(lambda: gateway.orders[0].status is OrderStatus.CANCELLED)

    run(scenario())


@pytest.mark.parametrize(("kind", "bid", "ask"), [("minus_one", -1, -1), ("crossed", 15.48, 15.46)])
def test_f15_quotes_can_be_missing_or_crossed(kind: str, bid: float, ask: float) -> None:
    async def scenario() -> None:
        async with serving({"faults": {"quotes": {"BTAL": kind}}}) as gateway, connected(gateway) as ib:
            (ticker,) = await ib.reqTickersAsync(listed(gateway, "BTAL"))
            assert (ticker.bid, ticker.ask) == (bid, ask)

    run(scenario())


def test_f15_a_symbol_can_have_no_ticks_at_all() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"quotes": {"SPY": "none"}}}) as gateway, connected(gateway) as ib:
            (ticker,) = await ib.reqTickersAsync(listed(gateway, "SPY"))
            assert not ticker.hasBidAsk()

    run(scenario())


def test_f15_market_data_can_be_unsubscribed_or_delayed() -> None:
    async def scenario() -> None:
        lines = {"SPY": {"code": 354}, "QQQ": {"code": 10167, "ticks": "delayed"}}
        async with serving({"faults": {"market_data": lines}}) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            first, second = await ib.reqTickersAsync(listed(gateway, "SPY"), listed(gateway, "QQQ"))
            assert [code for _, code in errors] == [354, 10167]
            assert not first.hasBidAsk()
            assert (second.bid, second.marketDataType) == (612.16, 3)

    run(scenario())


def test_f18_an_execution_can_be_corrected() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"corrected_executions": True}}) as gateway, connected(gateway) as ib:
            before = gateway.cash(ACCOUNT)
            trade = ib.placeOrder(stock("SPY"), market("BUY", 2))
            await until(lambda: len(trade.fills) == 2)
            ids = [fill.execution.execId.rpartition(".") for fill in trade.fills]
            assert ids[0][0] == ids[1][0]
            assert [last for *_, last in ids] == ["01", "02"]
            assert gateway.positions(ACCOUNT) == {"SPY": 2}
            first, second = (Decimal(str(fill.execution.price)) for fill in trade.fills)
            assert second == first + Decimal("0.01")
            paid = 2 * second + gateway.executions[0].commission
            assert gateway.cash(ACCOUNT) == before - paid, "the books follow the correction"
            assert [one.execution_id for one in gateway.executions] == [trade.fills[1].execution.execId]
            asked = await ib.reqExecutionsAsync()
            assert [fill.execution.price for fill in asked if fill.execution.execId.endswith(".02")] == [float(second)]

    run(scenario())


def test_f22_an_inactive_order_can_come_back() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"inactive": {"SPY": {"for_ms": 30}}}}) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), market("BUY", 1))
            await until(lambda: trade.orderStatus.status == "Filled")
            assert "Inactive" in [entry.status for entry in trade.log]
            assert gateway.positions(ACCOUNT) == {"SPY": 1}

    run(scenario())


def test_f23_a_what_if_can_be_answered_without_margins_first() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"what_if_late": True}}) as gateway, connected(gateway) as ib:
            state = await ib.whatIfOrderAsync(listed(gateway, "QQQ"), market("BUY", 10))
            assert state.initMarginChange == "6122.00"

    run(scenario())


def test_f24_cash_accounts_can_want_a_cushion_and_settled_cash() -> None:
    async def scenario() -> None:
        overrides = {
            "orders": {"market_order_cushion": 0.05},
            "accounts": {"DU1000002": {"margin": False, "settled_cash_only": True}},
        }
        async with serving(overrides) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            ib.placeOrder(stock("SPY"), market("BUY", 360))
            await until(lambda: len(errors) == 1)
            assert errors[0][1] == 201
            sale = ib.placeOrder(stock("AAPL"), market("SELL", 100, account="DU1000002"))
            await until(sale.isDone)
            ib.placeOrder(stock("SPY"), market("BUY", 1, account="DU1000002"))
            await until(lambda: len(errors) == 2)
            assert errors[1][1] == 201
            assert gateway.cash("DU1000002") > 27_000

    run(scenario())


def test_f25_frames_can_arrive_in_pieces() -> None:
    async def scenario() -> None:
        async with serving({"faults": {"split_frames": 3}}) as gateway, connected(gateway) as ib:
            assert len(ib.positions("DU1000004")) == 6

    run(scenario())


def test_the_control_port_switches_faults_notices_and_restarts() -> None:
    async def scenario() -> None:
        async with serving() as gateway, controlling(gateway) as control, connected(gateway) as ib:
            errors = errors_of(ib)
            assert (await control.post("/faults", content='{"commission": "-1"}')).json()["commission"] == "-1"
            assert gateway.faults.commission == -1
            refused = await control.post("/faults", content='{"comission": "-1"}')
            assert refused.status_code == 400
            assert "comission" in refused.json()["error"]
            await control.post("/faults", content="{}")
            assert gateway.faults == Faults()
            await control.post("/notices", content='{"code": 1100, "text": "lost"}')
            await until(lambda: errors == [(-1, 1100)])
            await control.post("/restart", content='{"refuse_s": 0.05}')
            await until(lambda: not ib.isConnected())

    run(scenario())


def test_the_control_port_enters_orders_by_hand() -> None:
    async def scenario() -> None:
        async with serving() as gateway, controlling(gateway) as control, connected(gateway) as ib:
            order = '{"account": "DU1000001", "symbol": "SPY", "side": "BUY", "quantity": 3, "limit_price": 1}'
            reply = await control.post("/orders", content=order)
            (seen,) = await ib.reqAllOpenOrdersAsync()
            assert seen.order.permId == reply.json()["perm_id"]
            assert (await control.post("/orders", content=order.replace("SPY", "ZZZ"))).status_code == 400

    run(scenario())


@pytest.mark.parametrize("life", ["captured", "orderly"])
@pytest.mark.parametrize("told", [True, False])
def test_f12_a_refused_order_can_stay_listed_and_bind_nothing(life: str, told: bool) -> None:
    rejection = {"code": 201, "text": "Order rejected - reason:x", "times": 1, "stays": "listed", "told": told}
    faults = {"rejections": {"SPY": rejection}, "ignored_cancels": ["SPY"]}

    async def scenario() -> None:
        setup = {"faults": faults, "orders": {"life": life}, "fills": {"mode": "never"}}
        async with serving(setup) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            trade = ib.placeOrder(stock("SPY"), market("BUY", 5))
            await until(lambda: gateway.orders and gateway.orders[0].status is OrderStatus.INACTIVE)
            await until(lambda: trade.orderStatus.status in {"Inactive", "Cancelled"})
            assert {one.orderStatus.status for one in await ib.reqAllOpenOrdersAsync()} == {"Inactive"}
            assert [code for _, code in errors] == ([201] if told else [])
            assert gateway.exchange.book.valuation(ACCOUNT, {}).committed == 0
            wire(ib).cancelOrder(trade.order.orderId, "")
            assert await ib.reqAllOpenOrdersAsync(), "the cancel changes nothing"
            assert [code for _, code in errors] == ([201] if told else [])
            gateway.exchange.transmit_again("SPY")
            await until(lambda: gateway.orders[0].status is OrderStatus.SUBMITTED)
            assert gateway.exchange.book.valuation(ACCOUNT, {}).committed > 0

    run(scenario())


def test_f12_a_refused_order_can_be_among_the_completed() -> None:
    rejection = {"code": 201, "text": "Order rejected - reason:x", "stays": "completed"}

    async def scenario() -> None:
        setup = {"faults": {"rejections": {"SPY": rejection}}, "orders": {"life": "captured"}}
        async with serving(setup) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            ib.placeOrder(stock("SPY"), market("BUY", 5, ref="mine"))
            await until(lambda: errors)
            assert [one.order.orderRef for one in await ib.reqCompletedOrdersAsync(apiOnly=False)] == ["mine"]
            assert await ib.reqAllOpenOrdersAsync() == []

    run(scenario())
