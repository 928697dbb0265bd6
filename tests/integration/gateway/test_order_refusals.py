"""Orders and changes that IBKR would refuse."""

from __future__ import annotations

from typing import Any

import ib_async
import pytest

from rebalancer.domain.order_states import OrderStatus
from tests.integration.gateway.clients import (
    ACCOUNT,
    bare,
    connected,
    errors_of,
    limit,
    market,
    order_fields,
    run,
    serving,
    stock,
    until,
    wire,
)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"orderType": "MKT"}, 329),
        ({"action": "SELL"}, 105),
        ({"account": "DU1000002"}, 105),
        ({"lmtPrice": 100.001}, 110),
        ({"totalQuantity": 100_000}, 201),
    ],
)
def test_impossible_changes_are_refused_and_leave_the_order_alone(changes: dict[str, Any], code: int) -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            order = limit("BUY", 5, 100.0)
            trade = ib.placeOrder(stock("SPY"), order)
            await until(lambda: trade.orderStatus.status == "Submitted")
            for name, value in changes.items():
                setattr(order, name, value)
            wire(ib).placeOrder(order.orderId, stock("SPY"), order)
            await until(lambda: errors)
            assert errors == [(order.orderId, code)]
            assert gateway.orders[0].status is OrderStatus.SUBMITTED
            assert gateway.orders[0].ticket.quantity == 5

    run(scenario())


def test_numbers_of_ended_orders_and_numbers_in_the_past_are_refused() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:

            async def code_of(order_id: int) -> str:
                client.send(3, order_id, *order_fields(178))
                return (await client.receive_until(4))[-1][3]

            client.send(3, 10, *order_fields(178))
            await client.receive_until(59)
            assert await code_of(10) == "104"
            assert await code_of(9) == "103"

    run(scenario())


@pytest.mark.parametrize(
    ("contract", "order", "code"),
    [
        (stock("NOSUCH"), market("BUY", 1), 200),
        (stock("SPY"), market("BUY", 1, account=""), 435),
        (stock("SPY"), market("BUY", 1, account="U999"), 201),
        (stock("SPY"), market("BUY", 0), 434),
        (stock("SPY"), market("BUY", 0.5), 10243),
        (stock("SPY"), limit("BUY", 1, 100.005), 110),
        (stock("SPY"), limit("BUY", 1, 0), 321),
        (ib_async.Stock("SPY", "ARCA", "USD"), market("BUY", 1), 10311),
        (ib_async.Stock("SPY", "", "USD"), market("BUY", 1), 321),
        (stock("SPY"), market("BUY", 1, tif="FOK"), 111),
        (stock("SPY"), market("BUY", 1, algoStrategy="Nonesuch"), 439),
        (stock("SPY"), ib_async.StopOrder("SELL", 1, 5.0, account=ACCOUNT, tif="DAY"), 387),
        (stock("SPY"), market("BUY", 1000), 201),
        (stock("SPY"), market("SELL", 1), 201),
    ],
)
def test_orders_that_ibkr_would_refuse_are_refused(
    contract: ib_async.Contract, order: ib_async.Order, code: int
) -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            order.orderId = 0  # parametrized orders are shared between runs
            ib.placeOrder(contract, order)
            await until(lambda: errors)
            assert [found for _, found in errors] == [code]
            assert not gateway.executions
            assert not gateway.exchange.book.open_orders()

    run(scenario())


def test_a_rejected_order_is_confirmed_as_cancelled_by_a_status() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:
            client.send(3, 1, *order_fields(178, quantity=1_000_000))
            messages = await client.receive_until(3)
            assert [(message[0], message[3] if message[0] == "4" else message[2]) for message in messages] == [
                ("4", "201"),
                ("3", "Cancelled"),
            ]

    run(scenario())


def test_open_buys_bind_the_funds_that_later_buys_need() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            first = ib.placeOrder(stock("SPY"), limit("BUY", 400, 600.0))
            await until(lambda: first.orderStatus.status == "Submitted")
            ib.placeOrder(stock("SPY"), limit("BUY", 17, 600.0))
            await until(lambda: errors)
            assert errors[0][1] == 201

    run(scenario())


def test_a_read_only_gateway_takes_no_orders() -> None:
    async def scenario() -> None:
        async with serving({"gateway": {"read_only": True}}) as gateway, connected(gateway, readonly=True) as ib:
            errors = errors_of(ib)
            ib.placeOrder(stock("SPY"), market("BUY", 1))
            await until(lambda: errors)
            assert errors[0][1] == 321
            assert not gateway.orders

    run(scenario())


def test_the_twenty_first_order_on_one_side_is_rejected() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            for _ in range(21):
                ib.placeOrder(stock("SPY"), limit("BUY", 1, 1.0))
            await until(lambda: errors)
            assert [code for _, code in errors] == [201]
            assert len(gateway.exchange.book.open_orders()) == 20

    run(scenario())
