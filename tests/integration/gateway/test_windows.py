"""Windows that keep orders back, and sales that IBKR itself makes, seen by an unmodified client."""

from __future__ import annotations

from typing import Any

import ib_async

from sandbox.gateway.fault_settings import Faults
from sandbox.gateway.server import Gateway
from tests.integration.gateway.clients import (
    ACCOUNT,
    connected,
    controlling,
    errors_of,
    market,
    run,
    serving,
    stock,
    until,
    wire,
)


def switch(gateway: Gateway, **swallowed: Any) -> None:
    gateway.set_faults(Faults.model_validate({"swallowed_orders": swallowed}))


def refs(gateway: Gateway) -> list[str]:
    """Order refs of the orders that the gateway's lists can show."""
    return [order.ticket.order_ref for order in gateway.orders]


def test_f26_a_window_keeps_an_order_back_until_somebody_answers() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            switch(gateway, SPY={"times": 1})
            seen = errors_of(ib)
            first = ib.placeOrder(stock("SPY"), market("BUY", 1, "first"))
            second = ib.placeOrder(stock("SPY"), market("BUY", 1, "second"))
            await until(second.isDone)
            assert refs(gateway) == ["second"]
            assert first.orderStatus.status == "PendingSubmit"
            wire(ib).cancelOrder(first.order.orderId, "")
            await until(lambda: 10147 in [code for _, code in seen])
            assert gateway.exchange.windows.answer() == 1
            await until(lambda: gateway.positions(ACCOUNT).get("SPY") and len(gateway.executions) == 2)
            assert refs(gateway) == ["second", "first"]

    run(scenario())


def test_f26_a_restart_forgets_what_waits_and_may_ask_again() -> None:
    async def scenario() -> None:
        async with serving() as gateway:
            switch(gateway, **{"*": {"times": 1, "each_session": True}})
            async with connected(gateway) as ib:
                ib.placeOrder(stock("SPY"), market("BUY", 1, "first"))
                await until(lambda: gateway.exchange.windows.waiting)
            await gateway.restart(0)
            assert gateway.exchange.windows.waiting == ()
            async with connected(gateway) as ib:
                ib.placeOrder(stock("GLD"), market("BUY", 1, "second"))
                await until(lambda: gateway.exchange.windows.waiting)
                assert refs(gateway) == []
                assert gateway.exchange.windows.answer(send=False) == 1
                assert refs(gateway) == []

    run(scenario())


def test_f26_of_a_burst_only_the_answered_order_survives() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            switch(gateway, **{"*": {"times": 1, "click_ms": 50, "drops_others": True}})
            trades = [ib.placeOrder(stock("SPY"), market("BUY", 1, f"ref {number}")) for number in range(4)]
            await until(trades[0].isDone)
            assert refs(gateway) == ["ref 0"]
            later = ib.placeOrder(stock("SPY"), market("BUY", 1, "later"))
            await until(later.isDone)

    run(scenario())


def test_a_forced_liquidation_is_an_execution_of_nobody() -> None:
    async def scenario() -> None:
        positions = {"SPY": 100}
        overrides = {"accounts": {ACCOUNT: {"cash": 1000, "positions": positions}}}
        async with serving(overrides) as gateway, controlling(gateway) as control, connected(gateway) as ib:
            heard: list[ib_async.Execution] = []
            ib.wrapper.execDetails = lambda _id, _contract, done: heard.append(done)  # type: ignore[method-assign]
            sold = {"account": ACCOUNT, "symbol": "SPY", "quantity": 40}
            assert (await control.post("/liquidations", json=sold)).json() == {"sold": "40"}
            assert (await control.post("/liquidations", json={**sold, "quantity": 61})).status_code == 400
            assert (await control.post("/windows", json={})).json() == {"answered": 0}
            await until(lambda: heard)
            done = heard[0]
            assert (done.clientId, done.orderId, done.liquidation, done.orderRef) == (0, -1, 1, "")
            assert (done.side, done.shares, done.acctNumber) == ("SLD", 40, ACCOUNT)
            assert gateway.positions(ACCOUNT)["SPY"] == 60
            assert gateway.cash(ACCOUNT) > 1000

    run(scenario())
