"""Contract details, opening hours and quotes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import ib_async
import pytest

from rebalancer.domain.trading_sessions import is_open, next_open, parse
from tests.integration.gateway.clients import BareClient, bare, connected, errors_of, listed, run, serving, stock, until

MONDAY_NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
THANKSGIVING = datetime(2026, 11, 26, 17, 0, tzinfo=UTC)


def test_contract_details_by_symbol_and_by_con_id_agree() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            by_symbol = (await ib.reqContractDetailsAsync(stock("AAPL")))[0]
            contract = ib_async.Contract(conId=265598, exchange="SMART")
            by_id = (await ib.reqContractDetailsAsync(contract))[0]
            assert by_symbol.contract == by_id.contract
            assert by_symbol.contract is not None
            assert by_symbol.contract.primaryExchange == "NASDAQ"
            assert (by_symbol.minTick, by_symbol.longName) == (0.01, "APPLE INC")
            assert (by_symbol.stockType, by_symbol.timeZoneId) == ("COMMON", "US/Eastern")
            rules = await ib.reqMarketRuleAsync(int(by_symbol.marketRuleIds.split(",")[0]))
            assert rules
            assert rules[0].increment == 0.01

    run(scenario())


@pytest.mark.parametrize(
    "contract",
    [
        ib_async.Stock("NOSUCH", "SMART", "USD"),
        ib_async.Stock("SPY", "SMART", "EUR"),
        ib_async.Stock("SPY", "NOWHERE", "USD"),
        ib_async.Contract(symbol="SPY", secType="OPT", exchange="SMART", currency="USD"),
        ib_async.Contract(conId=1, exchange="SMART"),
    ],
)
def test_contracts_that_do_not_exist_are_told_200(contract: ib_async.Contract) -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            assert await ib.reqContractDetailsAsync(contract) == []
            assert [code for _, code in errors] == [200]

    run(scenario())


@pytest.mark.parametrize("now", [datetime(2026, 11, 21, 3, 0, tzinfo=UTC), MONDAY_NOON])
def test_an_open_market_is_open_now_and_stays_open_for_days(now: datetime) -> None:
    async def scenario() -> None:
        async with serving(clock=lambda: now) as gateway, connected(gateway) as ib:
            details = (await ib.reqContractDetailsAsync(stock("SPY")))[0]
            sessions = parse(details.liquidHours, details.timeZoneId)
            assert is_open(sessions, now)
            assert len(sessions) == 1

    run(scenario())


def test_calendar_hours_follow_weekends_holidays_and_early_closes() -> None:
    async def scenario() -> None:
        market = {"mode": "calendar", "holidays": ["2026-11-26"], "early_closes": {"2026-11-27": "13:00"}}
        async with (
            serving({"market": market}, clock=lambda: THANKSGIVING) as gateway,
            connected(gateway) as ib,
        ):
            details = (await ib.reqContractDetailsAsync(stock("SPY")))[0]
            assert details.liquidHours.startswith("20261126:CLOSED;20261127:0930-20261127:1300;20261128:CLOSED")
            sessions = parse(details.liquidHours, details.timeZoneId)
            assert next_open(sessions, THANKSGIVING) == datetime(2026, 11, 27, 14, 30, tzinfo=UTC)

    run(scenario())


def test_a_closed_market_is_closed_today() -> None:
    async def scenario() -> None:
        overrides = {"market": {"mode": "closed"}}
        async with serving(overrides, clock=lambda: MONDAY_NOON) as gateway, connected(gateway) as ib:
            details = (await ib.reqContractDetailsAsync(stock("SPY")))[0]
            assert not is_open(parse(details.liquidHours, details.timeZoneId), MONDAY_NOON)
            assert details.liquidHours.startswith("20261123:CLOSED;20261124:0930-20261124:1600")

    run(scenario())


def test_a_scenario_can_start_its_clock_elsewhere() -> None:
    async def scenario() -> None:
        overrides = {"market": {"clock": "2026-11-23T17:00:00Z"}}
        async with serving(overrides) as gateway, connected(gateway) as ib:
            assert abs(await ib.reqCurrentTimeAsync() - MONDAY_NOON).total_seconds() < 10

    run(scenario())


def test_a_snapshot_is_two_sided_and_ends() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            (ticker,) = await ib.reqTickersAsync(listed(gateway, "BTAL"))
            assert (ticker.bid, ticker.ask, ticker.close) == (15.46, 15.48, 15.47)
            assert ticker.marketDataType == 1

    run(scenario())


def test_a_stream_keeps_ticking_until_it_is_cancelled() -> None:
    async def scenario() -> None:
        overrides = {"quotes": {"interval_ms": 5, "move_bps_per_s": 50}}
        async with serving(overrides) as gateway, connected(gateway) as ib:
            ticker = ib.reqMktData(listed(gateway, "SPY"), "", False, False)
            prices: set[float] = set()
            ticker.updateEvent += lambda update: prices.add(update.bid)
            await until(lambda: len(prices) > 5)
            ib.cancelMktData(listed(gateway, "SPY"))
            assert ticker.bid < ticker.ask

    run(scenario())


def test_still_quotes_tick_too_so_that_they_are_never_stale() -> None:
    async def scenario() -> None:
        async with serving({"quotes": {"interval_ms": 5}}) as gateway, connected(gateway) as ib:
            ticker = ib.reqMktData(listed(gateway, "SPY"), "", False, False)
            updates: list[tuple[float, float]] = []
            ticker.updateEvent += lambda update: updates.append((update.bid, update.ask))
            await until(lambda: len(updates) > 5)
            assert len(set(updates[1:])) == 1

    run(scenario())


def test_quotes_are_the_same_for_the_same_seed() -> None:
    async def walk(seed: int) -> list[str]:
        overrides = {"quotes": {"seed": seed, "move_bps_per_s": 20, "interval_ms": 10_000}}
        async with serving(overrides) as gateway:
            for _ in range(20):
                gateway.exchange.market.step(MONDAY_NOON)
            return [str(gateway.exchange.market.quote(symbol).bid) for symbol in gateway.setup.instruments]

    assert asyncio.run(walk(1)) == asyncio.run(walk(1)) != asyncio.run(walk(2))


async def line(client: BareClient, request_id: int, symbol: str) -> str:
    """What becomes of a request for quotes: ``accepted`` or the error's code."""
    contract = (0, symbol, "STK", "", "0.0", "", "", "SMART", "", "USD", "", "")
    client.send(1, 11, request_id, *contract, 0, "", 0, 0, "")
    while (reply := await client.receive())[0] not in ("4", "58"):
        pass
    return reply[3] if reply[0] == "4" else "accepted"


def test_market_data_lines_are_limited_numbered_once_and_freed_by_cancel() -> None:
    async def scenario() -> None:
        overrides = {"gateway": {"max_market_data_lines": 2}}
        async with serving(overrides) as gateway, bare(gateway, 1) as client:

            async def ask(request_id: int, symbol: str) -> str:
                return await line(client, request_id, symbol)

            assert [await ask(1, "SPY"), await ask(1, "SPY"), await ask(2, "QQQ")] == ["accepted", "102", "accepted"]
            assert [await ask(3, "IWM"), await ask(4, "NOSUCH")] == ["101", "200"]
            client.send(2, 2, 1)
            assert await ask(3, "IWM") == "accepted"

    run(scenario())


def test_all_clients_of_a_login_share_its_lines_and_free_them_as_they_leave() -> None:
    async def scenario() -> None:
        async with serving({"gateway": {"max_market_data_lines": 1}}) as gateway, bare(gateway, 2) as other:
            async with bare(gateway, 1) as client:
                assert await line(client, 1, "SPY") == "accepted"
                assert await line(other, 1, "SPY") == "101"
            await until(lambda: not gateway.exchange.lines)
            assert await line(other, 1, "SPY") == "accepted"

    run(scenario())


def test_cancelling_an_unknown_line_is_told_300() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:
            client.send(2, 2, 99)
            assert (await client.receive())[3] == "300"

    run(scenario())


def test_frozen_quotes_are_marked_when_asked_for_in_a_closed_market() -> None:
    async def scenario() -> None:
        async with serving({"market": {"mode": "closed"}}) as gateway, connected(gateway) as ib:
            ib.reqMarketDataType(2)
            (ticker,) = await ib.reqTickersAsync(listed(gateway, "SPY"))
            assert ticker.marketDataType == 2

    run(scenario())
