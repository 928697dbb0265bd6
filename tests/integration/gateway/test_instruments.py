"""Contracts as treacherous as IBKR's: several of one ticker, undefined ones, other kinds, other hours, price steps."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import ib_async
import pytest

from rebalancer.domain.trading_sessions import parse
from sandbox.gateway.scenario import Scenario
from sandbox.gateway.server import Gateway
from tests.integration.gateway.clients import connected, controlling, errors_of, run, until, wire

LONDON = {"zone": "GB-Eire", "opens": "08:00", "closes": "16:30"}
INSTRUMENTS: dict[str, dict[str, Any]] = {
    "SPY": {"con_id": 1, "name": "S", "price": 100},
    "EXUS": {"con_id": 2, "name": "E", "price": 40, "exchange": "NASDAQ"},
    "EXUS-L": {"con_id": 3, "name": "E", "price": 30, "symbol": "EXUS", "exchange": "LSEETF", "hours": LONDON},
    "ABC.CNT": {"con_id": 4, "name": "A", "price": "0.01", "defined": False, "hours": "none"},
    "SPY-C": {
        "con_id": 5,
        "name": "call",
        "price": 2,
        "symbol": "SPY",
        "local_symbol": "SPY   261218C00500000",
        "security_type": "OPT",
        "expiry": "20261218",
        "strike": 500,
        "right": "C",
        "multiplier": 100,
    },
    "VXX": {"con_id": 6, "name": "V", "price": "11.055", "min_tick": "0.0001"},
    "BRK B": {"con_id": 7, "name": "B", "price": 500, "exchange": "NYSE"},
    "ODD": {"con_id": 8, "name": "O", "price": 5, "hours": "none"},
    "LOTS": {"con_id": 9, "name": "L", "price": 5, "min_size": 20, "size_increment": 10},
    "FINE": {"con_id": 10, "name": "F", "price": 5, "min_size": "0.0001", "size_increment": "0.0001"},
    "FREE": {"con_id": 11, "name": "F", "price": 5, "min_size": 0, "size_increment": 0, "suggested_size_increment": 0},
}
ACCOUNT: dict[str, Any] = {
    "cash": 100_000,
    "positions": {"EXUS-L": 7, "ABC.CNT": 3, "SPY-C": 2, "SPY": 10},
    "open_orders": [{"symbol": "SPY-C", "side": "SELL", "quantity": 1, "limit_price": 3}],
}
MONDAY_NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def gateway(**overrides: Any) -> Gateway:
    setup = {"instruments": INSTRUMENTS, "accounts": {"DU1": ACCOUNT}, **overrides}
    return Gateway(Scenario.model_validate(setup), clock=lambda: MONDAY_NOON)


async def details(ib: ib_async.IB, **contract: Any) -> list[ib_async.ContractDetails]:
    found: list[ib_async.ContractDetails] = await ib.reqContractDetailsAsync(ib_async.Contract(**contract))
    return found


def test_one_ticker_is_several_contracts_and_only_an_exchange_or_an_id_tells_them_apart() -> None:
    async def scenario() -> None:
        async with gateway() as served, connected(served) as ib:
            errors = errors_of(ib)
            stock = {"symbol": "EXUS", "secType": "STK", "exchange": "SMART", "currency": "USD"}
            found = await details(ib, **stock)
            assert {(row.contract.conId, row.contract.primaryExchange) for row in found if row.contract} == {
                (2, "NASDAQ"),
                (3, "LSEETF"),
            }
            assert [
                row.contract.conId for row in await details(ib, **stock, primaryExchange="ISLAND") if row.contract
            ] == [2]
            assert [row.contract.symbol for row in await details(ib, conId=3) if row.contract] == ["EXUS"]
            assert errors == []
            wire(ib).reqMktData(900, ib_async.Contract(**stock), "", False, False, [])
            await until(lambda: bool(errors))
            assert errors[0][1] == 200

    run(scenario())


def test_contract_details_have_zone_hours_isin_and_price_steps_of_their_own() -> None:
    async def scenario() -> None:
        async with gateway(market={"mode": "calendar"}) as served, connected(served) as ib:
            [london] = await details(ib, conId=3)
            assert (london.timeZoneId, london.liquidHours[:27]) == ("GB-Eire", "20261123:0800-20261123:1630")
            assert parse(london.liquidHours, london.timeZoneId)[0].start == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
            [odd] = await details(ib, conId=8)
            assert (odd.timeZoneId, odd.liquidHours, odd.tradingHours) == ("", "", "")
            assert [(one.tag, len(one.value)) for one in odd.secIdList] == [("ISIN", 12)]
            [fine] = await details(ib, conId=6)
            assert fine.minTick == 0.0001
            rule = await ib.reqMarketRuleAsync(int(fine.marketRuleIds.split(",")[0]))
            assert rule is not None
            assert [(one.lowEdge, one.increment) for one in rule] == [(0.0, 0.0001), (1.0, 0.01)]

    run(scenario())


def test_contract_details_say_in_which_sizes_an_order_may_come() -> None:
    async def scenario() -> None:
        async with gateway() as served, connected(served) as ib:
            sizes = {}
            for con_id in (1, 9, 10, 11):
                [row] = await details(ib, conId=con_id)
                sizes[con_id] = (row.minSize, row.sizeIncrement, row.suggestedSizeIncrement)
            assert sizes == {1: (1, 1, 100), 9: (20, 10, 100), 10: (0.0001, 0.0001, 100), 11: (0, 0, 0)}

    run(scenario())


@pytest.mark.parametrize(
    ("symbol", "quantity", "code"),
    [("LOTS", 10, 388), ("LOTS", 25, 355), ("LOTS", 30, None), ("FINE", 7, None), ("FREE", 7, None), ("SPY", 7, None)],
)
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_an_order_of_another_size_is_refused_odd_remainders_included(
    symbol: str, quantity: int, code: int | None, side: str
) -> None:
    held = {"LOTS": 35, "FINE": 7, "FREE": 7, "SPY": 7}
    accounts = {"DU1": {"cash": 100_000, "positions": held}}

    async def scenario() -> None:
        async with gateway(accounts=accounts) as served, connected(served) as ib:
            errors = errors_of(ib)
            contract = ib_async.Contract(symbol=symbol, secType="STK", exchange="SMART", currency="USD")
            trade = ib.placeOrder(contract, ib_async.MarketOrder(side, quantity, account="DU1", tif="DAY"))
            if code is None:
                await until(lambda: trade.orderStatus.status == "Filled")
                assert errors == []
            else:
                await until(lambda: bool(errors))
                assert errors == [(trade.order.orderId, code)]
                assert served.executions == []

    run(scenario())


@pytest.mark.parametrize("ticker", ["BRK.B", "BRK/B", "BRK-B"])
def test_a_class_of_shares_has_a_blank(ticker: str) -> None:
    async def scenario() -> None:
        async with gateway() as served, connected(served) as ib:
            assert await details(ib, symbol=ticker, secType="STK", exchange="SMART", currency="USD") == []
            [found] = await details(ib, localSymbol="BRK B", secType="STK", exchange="SMART", currency="USD")
            assert found.contract is not None
            assert found.contract.conId == 7

    run(scenario())


def test_positions_and_orders_by_hand_may_be_of_any_kind() -> None:
    async def scenario() -> None:
        async with gateway() as served, connected(served) as ib:
            held = {row.contract.conId: row for row in await ib.reqPositionsAsync()}
            assert (held[4].contract.symbol, held[3].contract.exchange) == ("ABC.CNT", "LSEETF")
            option = held[5].contract
            assert (option.symbol, option.secType, option.strike, option.right) == ("SPY", "OPT", 500.0, "C")
            assert (option.lastTradeDateOrContractMonth, option.multiplier, held[5].avgCost) == (
                "20261218",
                "100",
                200.0,
            )
            [trade] = await ib.reqAllOpenOrdersAsync()
            assert (trade.contract.secType, trade.contract.conId, trade.order.totalQuantity) == ("OPT", 5, 1.0)
            assert served.exchange.valuation("DU1").net_liquidation == Decimal("101610.045")
            assert await details(ib, conId=4) == []

    run(scenario())


def test_what_is_no_stock_is_not_traded() -> None:
    async def scenario() -> None:
        async with gateway() as served, connected(served) as ib:
            errors = errors_of(ib)
            option = ib_async.Contract(conId=5, secType="OPT", exchange="SMART", currency="USD")
            ib.placeOrder(option, ib_async.MarketOrder("SELL", 1, account="DU1", tif="DAY"))
            await until(lambda: bool(errors))
            assert errors[0][1] == 387

    run(scenario())


def test_limit_prices_have_the_step_of_their_price() -> None:
    async def scenario() -> None:
        async with gateway() as served, connected(served) as ib:
            errors = errors_of(ib)
            [fine] = await details(ib, conId=6)
            contract = fine.contract
            assert contract is not None
            ib.placeOrder(contract, ib_async.LimitOrder("BUY", 1, 11.1114, account="DU1", tif="DAY"))
            await until(lambda: bool(errors))
            assert errors[0][1] == 110
            for price in (11.11, 0.5061):
                ib.placeOrder(contract, ib_async.LimitOrder("BUY", 1, price, account="DU1", tif="DAY"))
            await until(lambda: len(served.orders) == 3)
            assert len(errors) == 1
            quote = served.exchange.market.quote("VXX")
            assert (quote.bid, quote.ask) == (Decimal("11.05"), Decimal("11.06"))

    run(scenario())


def test_a_renumbered_contract_is_unknown_under_its_old_id() -> None:
    async def scenario() -> None:
        async with gateway() as served, controlling(served) as control, connected(served) as ib:
            assert (await control.post("/contracts", json={"SPY": 9001})).status_code == 200
            assert (await control.post("/contracts", json={"NOPE": 9001})).status_code == 400
            assert await details(ib, conId=1) == []
            [now] = await details(ib, conId=9001)
            assert now.contract is not None
            assert now.contract.symbol == "SPY"
            assert 9001 in {row.contract.conId for row in await ib.reqPositionsAsync()}

    run(scenario())


def test_a_halted_stock_says_so_and_does_not_fill() -> None:
    async def scenario() -> None:
        async with gateway(faults={"halted": ["SPY"]}) as served, connected(served) as ib:
            spy = ib_async.Contract(conId=1, secType="STK", exchange="SMART", currency="USD")
            ticker = ib.reqMktData(spy)
            await until(lambda: ticker.halted == 1)
            trade = ib.placeOrder(spy, ib_async.MarketOrder("BUY", 1, account="DU1", tif="DAY"))
            await until(lambda: trade.orderStatus.status == "PreSubmitted")
            served.set_faults(served.faults.model_copy(update={"halted": frozenset()}))
            await until(lambda: ticker.halted == 0 and trade.orderStatus.status == "Filled")

    run(scenario())


def test_price_steps_begin_at_zero() -> None:
    with pytest.raises(ValueError, match="price_steps have to begin at 0"):
        gateway(
            instruments={"A": {"con_id": 1, "name": "A", "price": 1, "price_steps": {1: "0.01"}}},
            accounts={"DU1": {"cash": 1}},
        )
