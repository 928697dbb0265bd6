"""Who may cancel what."""

from __future__ import annotations

from typing import Any

import ib_async

from rebalancer.domain.order_states import OrderStatus
from tests.integration.gateway.clients import (
    ACCOUNT,
    connected,
    errors_of,
    limit,
    market,
    run,
    serving,
    stock,
    until,
    wire,
)

BY_HAND: dict[str, Any] = {
    "accounts": {ACCOUNT: {"open_orders": [{"symbol": "SPY", "side": "BUY", "quantity": 3, "limit_price": 1}]}}
}


async def working(ib: ib_async.IB, ref: str = "") -> ib_async.Trade:
    """A buy order far below the market."""
    trade = ib.placeOrder(stock("SPY"), limit("BUY", 1, 1.0, ref))
    await until(lambda: trade.orderStatus.status == "Submitted")
    return trade


def test_an_own_order_is_cancelled_with_202_and_a_status() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            trade = await working(ib)
            ib.cancelOrder(trade.order)
            await until(lambda: gateway.orders[0].status is OrderStatus.CANCELLED)
            await until(lambda: trade.orderStatus.status == "Cancelled")
            assert errors == [(trade.order.orderId, 202)]

    run(scenario())


def test_another_clients_order_is_not_found() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway, 1) as owner, connected(gateway, 2) as other:
            trade = await working(owner)
            errors = errors_of(other)
            wire(other).cancelOrder(trade.order.orderId)
            await until(lambda: errors)
            assert errors == [(trade.order.orderId, 10147)]
            assert gateway.orders[0].open

    run(scenario())


def test_a_filled_order_cannot_be_cancelled() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), market("BUY", 1))
            await until(trade.isDone)
            errors = errors_of(ib)
            wire(ib).cancelOrder(trade.order.orderId)
            await until(lambda: errors)
            assert errors == [(trade.order.orderId, 10148)]

    run(scenario())


def test_a_global_cancel_takes_every_order_of_the_login_and_tells_every_owner() -> None:
    async def scenario() -> None:
        async with serving(BY_HAND) as gateway, connected(gateway, 1) as one, connected(gateway, 2) as two:
            trades = [await working(one), await working(two)]
            wire(two).reqGlobalCancel()
            await until(lambda: all(trade.orderStatus.status == "Cancelled" for trade in trades))
            assert len(gateway.orders) == 3
            assert not gateway.exchange.book.open_orders()

    run(scenario())


def test_an_order_may_fill_while_its_cancel_is_under_way() -> None:
    async def scenario() -> None:
        overrides = {
            "fills": {"mode": "delayed", "delay_ms": 300},
            "orders": {"cancel_delay_ms": 900},
        }
        async with serving(overrides) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), market("BUY", 1))
            await until(lambda: trade.orderStatus.status == "Submitted")
            ib.cancelOrder(trade.order)
            await until(lambda: gateway.orders[0].status is OrderStatus.PENDING_CANCEL)
            await until(lambda: trade.orderStatus.status == "Filled")
            assert gateway.positions(ACCOUNT) == {"SPY": 1}

    run(scenario())


def test_an_order_by_hand_is_seen_by_all_and_managed_by_client_0_only() -> None:
    async def scenario() -> None:
        async with serving(BY_HAND) as gateway, connected(gateway, 1) as other, connected(gateway, 0) as manual:
            (seen,) = await other.reqAllOpenOrdersAsync()
            assert (seen.order.clientId, seen.order.totalQuantity) == (0, 3)
            errors = errors_of(other)
            wire(other).cancelOrder(gateway.orders[0].order_id)
            await until(lambda: errors)
            assert errors[0][1] == 10147
            (mine,) = manual.openTrades()
            assert mine.order.orderId < 0
            manual.cancelOrder(mine.order)
            await until(lambda: gateway.orders[0].status is OrderStatus.CANCELLED)

    run(scenario())


def test_only_client_0_binds_automatically() -> None:
    async def scenario() -> None:
        async with serving(BY_HAND) as gateway, connected(gateway, 1) as ib:
            errors = errors_of(ib)
            wire(ib).reqAutoOpenOrders(True)
            await until(lambda: errors)
            assert errors == [(-1, 321)]
            assert not ib.openTrades()

    run(scenario())
