"""Positions and account values, asked for and pushed."""

from __future__ import annotations

from decimal import Decimal

import ib_async

from tests.integration.gateway.clients import (
    ACCOUNT,
    bare,
    connected,
    errors_of,
    market,
    run,
    serving,
    stock,
    until,
    wire,
)


def test_positions_carry_quantity_cost_and_the_primary_exchange() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            found = {held.contract.symbol: held for held in ib.positions("DU1000006")}
            assert found["QQQ"].position == 4.3127
            assert found["QQQ"].avgCost == 431.26
            assert found["QQQ"].contract.exchange == "NASDAQ"
            assert found["BTAL"].position == 310.584

    run(scenario())


def test_a_summary_covers_all_accounts_with_type_equity_and_cash() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            values = await ib.accountSummaryAsync()
            found = {(value.account, value.tag, value.currency): value.value for value in values}
            assert found["DU1000003", "AccountType", ""] == "IRA"
            assert found["DU1000001", "NetLiquidation", "USD"] == "250000.00"
            assert found["DU1000001", "AvailableFunds", "USD"] == "250000.00"
            assert found["DU1000002", "TotalCashValue", "USD"] == "412.37"
            assert found["DU1000002", "GrossPositionValue", "USD"] == "161665.00"
            assert found["DU1000001", "SettledCash", "USD"] == "250000.00"
            assert ("DU1000002", "SettledCash", "USD") not in found, "it has margin"
            assert found["DU1000002", "CashBalance", "BASE"] == "412.37"
            assert found["DU1000002", "ExchangeRate", "USD"] == "1.00"

    run(scenario())


def test_a_summary_sends_only_the_tags_that_were_asked_for() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:
            client.send(62, 1, 9, "All", "NetLiquidation,Nonsense")
            values = [reply for reply in await client.receive_until(64) if reply[0] == "63"]
            assert [value[4] for value in values] == ["NetLiquidation"] * 7

    run(scenario())


def test_a_third_summary_is_refused_until_one_is_cancelled() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:
            for request_id in (1, 2):
                client.send(62, 1, request_id, "All", "NetLiquidation")
                await client.receive_until(64)
            client.send(62, 1, 3, "All", "NetLiquidation")
            assert (await client.receive())[3] == "322"
            client.send(63, 1, 1)
            client.send(62, 1, 4, "All", "NetLiquidation")
            assert (await client.receive_until(64))[-1][2] == "4"

    run(scenario())


def test_an_account_of_another_login_is_refused() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:
            client.send(6, 2, 1, "U999")
            assert (await client.receive())[3] == "321"
            client.send(76, 1, 5, "U999", "", 0)
            reply = await client.receive()
            assert (reply[2], reply[3]) == ("5", "321")
            client.send(74, 1, 6, "U999", "")
            reply = await client.receive()
            assert (reply[2], reply[3]) == ("6", "321")

    run(scenario())


def test_a_fill_pushes_position_portfolio_and_values_at_once() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway, account=ACCOUNT) as ib:
            assert not ib.positions(ACCOUNT)
            ib.placeOrder(stock("SPY"), market("BUY", 10))
            await until(lambda: ib.positions(ACCOUNT))
            await until(lambda: ib.portfolio(ACCOUNT))
            assert ib.positions(ACCOUNT)[0].position == 10
            item = ib.portfolio(ACCOUNT)[0]
            assert (item.position, item.contract.symbol) == (10, "SPY")
            cash = next(v for v in ib.accountValues(ACCOUNT) if (v.tag, v.currency) == ("TotalCashValue", "USD"))
            await until(lambda: Decimal(cash.value) <= gateway.cash(ACCOUNT) + 1)

    run(scenario())


def test_a_holding_that_is_sold_out_is_pushed_as_zero() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            seen: list[tuple[str, float]] = []
            ib.positionEvent += lambda held: seen.append((held.contract.symbol, held.position))
            ib.placeOrder(stock("VTI"), market("SELL", 500, account="DU1000007"))
            await until(lambda: ("VTI", 0.0) in seen)
            assert "VTI" not in gateway.positions("DU1000007")
            assert "VTI" not in {held.contract.symbol for held in await ib.reqPositionsAsync()}

    run(scenario())


def test_sale_proceeds_are_cash_at_once_but_settle_the_next_day() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            before = gateway.account("DU1000002")
            ib.placeOrder(stock("AAPL"), market("SELL", 100, account="DU1000002"))
            await until(lambda: gateway.executions)
            after = gateway.account("DU1000002")
            assert after.settled == before.settled
            assert after.cash == before.cash + gateway.executions[0].notional - gateway.executions[0].commission

    run(scenario())


def test_cancelled_position_subscriptions_hear_nothing_more() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as listener, connected(gateway, 2) as ib:
            listener.send(61, 1)
            await listener.receive_until(62)
            listener.send(64, 1)
            listener.send(74, 1, 8, ACCOUNT, "")
            await listener.receive_until(72)
            trade = ib.placeOrder(stock("SPY"), market("BUY", 1))
            await until(trade.isDone)
            assert (await listener.receive())[0] == "71"

    run(scenario())


def test_positions_of_one_account_are_those_of_its_model_alone_if_one_is_named() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:
            client.send(74, 1, 8, "DU1000006", "")
            assert {(row[2], row[3]) for row in (await client.receive_until(72))[:-1]} == {("8", "DU1000006")}
            client.send(74, 1, 9, "DU1000006", "Value")
            assert await client.receive_until(72) == [["72", "1", "9"]]

    run(scenario())


def test_a_cancelled_list_of_one_account_hears_nothing_more() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as listener, connected(gateway, 2) as ib:
            for request_id in (8, 9):
                listener.send(74, 1, request_id, ACCOUNT, "")
                await listener.receive_until(72)
            listener.send(75, 1, 8)
            listener.send(49, 1)
            await listener.receive_until(49)
            trade = ib.placeOrder(stock("SPY"), market("BUY", 1))
            await until(trade.isDone)
            assert (await listener.receive())[:3] == ["71", "1", "9"]

    run(scenario())


def test_account_values_are_refreshed_after_prices_moved() -> None:
    async def scenario() -> None:
        overrides = {"gateway": {"account_refresh_s": "0.05"}, "quotes": {"interval_ms": 10}}
        async with serving(overrides) as gateway, connected(gateway, account="DU1000002") as ib:
            gateway.exchange.set_price("AAPL", Decimal(1000))

            def equity() -> float:
                values = ib.accountValues("DU1000002")
                return next(float(v.value) for v in values if (v.tag, v.currency) == ("NetLiquidation", "USD"))

            await until(lambda: equity() > 340_000)

    run(scenario())


def test_a_second_account_subscription_replaces_the_first() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway, account=ACCOUNT) as ib:
            errors = errors_of(ib)
            wire(ib).reqAccountUpdates(True, "DU1000002")
            await until(lambda: ib.portfolio("DU1000002"))
            assert (-1, 2100) in errors

    run(scenario())


def test_positions_can_be_asked_for_again_and_are_fresh() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            fresh: list[ib_async.Position] = await ib.reqPositionsAsync()
            total = sum(len(gateway.positions(account)) for account in gateway.setup.accounts)
            assert len(fresh) == total

    run(scenario())
