"""Pairs of currencies, and accounts that exchange them or have them exchanged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ib_async
import pytest
from pydantic import ValidationError

from sandbox.gateway.server import Gateway
from tests.integration.gateway.clients import (
    ACCOUNT,
    connected,
    default_scenario,
    errors_of,
    run,
    serving,
    stock,
    until,
)

EURO_PAIR = {
    "con_id": 12087792,
    "name": "European Monetary Union Euro",
    "security_type": "CASH",
    "symbol": "EUR",
    "currency": "USD",
    "exchange": "IDEALPRO",
    "price": "1.25",
    "spread_bps": "0",
    "min_tick": "0.00005",
    "odd_lot_below": 20_000,
    "odd_lot_bps": 2,
}
FRANC_PAIR = {**EURO_PAIR, "con_id": 12087820, "name": "Franc", "symbol": "USD", "currency": "CHF", "price": "0.8"}
EURO = {"base_currency": "EUR", "cash": 0, "other_cash": {"EUR": "100000"}, "margin": True, "positions": {}}


def world(**account: Any) -> dict[str, Any]:
    pairs = {"EUR.USD": EURO_PAIR, "USD.CHF": FRANC_PAIR}
    rates = {"EUR": "1.25", "CHF": "1.25"}
    return {"currencies": rates, "instruments": pairs, "accounts": {ACCOUNT: EURO | account}}


def forex(pair: str = "EURUSD") -> ib_async.Forex:
    return ib_async.Forex(pair)


def cash(gateway: Gateway, currency: str = "EUR") -> Decimal:
    state = gateway.account(ACCOUNT)
    return state.cash if currency == "USD" else state.other_cash[currency]


async def traded(ib: ib_async.IB, pair: str, order: ib_async.Order) -> ib_async.Trade:
    order.account, order.tif = ACCOUNT, "DAY"
    trade = ib.placeOrder(forex(pair), order)
    await until(lambda: trade.isDone() and all(fill.commissionReport.execId for fill in trade.fills))
    return trade


def test_a_pair_has_one_direction_and_a_venue_of_its_own() -> None:
    async def scenario() -> None:
        async with serving(world()) as gateway, connected(gateway) as ib:
            (found,) = await ib.reqContractDetailsAsync(forex())
            assert found.contract is not None
            assert (found.contract.localSymbol, found.contract.exchange) == ("EUR.USD", "IDEALPRO")
            assert found.minTick == 0.00005
            assert not await ib.reqContractDetailsAsync(forex("USDEUR"))
            assert not await ib.reqContractDetailsAsync(stock("EUR"))

    run(scenario())


def test_a_conversion_moves_both_currencies_and_is_charged_in_the_base_currency() -> None:
    async def scenario() -> None:
        async with serving(world()) as gateway, connected(gateway) as ib:
            trade = await traded(ib, "EURUSD", ib_async.MarketOrder("SELL", 40_000))
            (fill,) = trade.fills
            sold_at = Decimal(str(fill.execution.price))
            assert (fill.commissionReport.commission, fill.commissionReport.currency) == (1.6, "EUR"), "2 USD"
            assert cash(gateway, "USD") == 40_000 * sold_at
            assert cash(gateway) == 60_000 - Decimal("1.6")
            await until(lambda: any(held.contract.secType == "CASH" for held in ib.positions(ACCOUNT)))
            (virtual,) = ib.positions(ACCOUNT)
            assert (virtual.contract.localSymbol, virtual.position) == ("EUR.USD", -40_000), "which is no cash"

    run(scenario())


def test_of_a_pair_that_begins_with_dollars_dollars_are_bought() -> None:
    async def scenario() -> None:
        async with (
            serving(world(base_currency="CHF", other_cash={"CHF": 100_000})) as gateway,
            connected(gateway) as ib,
        ):
            await traded(ib, "USDCHF", ib_async.LimitOrder("BUY", 50_000, 0.81))
            assert cash(gateway, "USD") == 50_000
            assert cash(gateway, "CHF") == pytest.approx(Decimal(60_000), abs=5)

    run(scenario())


def test_an_odd_lot_is_remarked_upon_and_fills_at_a_worse_price() -> None:
    async def scenario() -> None:
        async with serving(world()) as gateway, connected(gateway) as ib:
            heard = errors_of(ib)
            large = await traded(ib, "EURUSD", ib_async.MarketOrder("SELL", 20_000))
            assert not heard
            small = await traded(ib, "EURUSD", ib_async.MarketOrder("SELL", 1_000))
            assert [code for _, code in heard] == [399]
            prices = [one.fills[0].execution.price for one in (large, small)]
            assert prices[1] == pytest.approx(prices[0] * (1 - 0.0002))
            bounded = await traded(ib, "EURUSD", ib_async.LimitOrder("SELL", 1_000, prices[0]))
            assert bounded.fills[0].execution.price == prices[0], "never beyond the limit"

    run(scenario())


def test_without_margin_no_currency_may_be_owed() -> None:
    async def scenario() -> None:
        async with serving(world(margin=False)) as gateway, connected(gateway) as ib:
            heard = errors_of(ib)
            order = ib_async.MarketOrder("SELL", 100_001, account=ACCOUNT, tif="DAY")
            ib.placeOrder(forex(), order)
            await until(lambda: heard)
            assert heard[0][1] == 201
            assert cash(gateway) == 100_000

    run(scenario())


def test_a_cash_account_may_be_converted_by_ibkr_itself() -> None:
    async def scenario() -> None:
        async with serving(world(margin=False, auto_convert=True)) as gateway, connected(gateway) as ib:
            order = ib_async.MarketOrder("BUY", 10, account=ACCOUNT, tif="DAY")
            trade = ib.placeOrder(stock("SPY"), order)
            await until(trade.isDone)
            assert trade.orderStatus.status == "Filled"
            assert cash(gateway, "USD") == 0
            (execution,) = gateway.executions
            spent = execution.notional + execution.commission
            assert 100_000 - cash(gateway) == pytest.approx(spent / (Decimal("1.25") * Decimal("0.9997")))

    run(scenario())


def test_a_pair_that_is_called_otherwise_is_refused() -> None:
    wrong = world() | {"instruments": {"EURUSD": EURO_PAIR}}
    with pytest.raises(ValidationError, match=r"has to be called EUR\.USD"):
        default_scenario().changed(wrong)
