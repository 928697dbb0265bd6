"""What is told of an account's money: as IBKR names it, as late as it comes, as it moves without trades."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.gateway.exchange_accounts import AccountState, Holding, Payment
from sandbox.gateway.fault_settings import Faults
from tests.integration.gateway.clients import (
    ACCOUNT,
    DEADLINE_S,
    BareClient,
    bare,
    connected,
    controlling,
    errors_of,
    market,
    run,
    serving,
    stock,
    until,
)

SELLER = "DU1000002"
THURSDAY, FRIDAY = datetime(2026, 11, 19, 15, tzinfo=UTC), datetime(2026, 11, 20, 15, tzinfo=UTC)
MONDAY = FRIDAY + timedelta(days=3)
NO_MARGIN = {"accounts": {SELLER: {"margin": False}}}
EURO = {"currencies": {"EUR": "1.25"}}
Values = dict[tuple[str, str], str]


async def updates(client: BareClient, account: str, request_id: int = 5) -> Values:
    """One account's values as the update stream begins with them."""
    client.send(76, 1, request_id, account, "", 0)
    found = {(row[5], row[7]): row[6] for row in await client.receive_until(74) if row[0] == "73"}
    client.send(77, 1, request_id)
    return found


async def summary(client: BareClient, account: str, tags: str) -> Values:
    client.send(62, 1, 9, "All", tags)
    found = {(row[4], row[6]): row[5] for row in await client.receive_until(64) if row[0] == "63" and row[3] == account}
    client.send(63, 1, 9)
    return found


async def shares(client: BareClient, account: str) -> dict[str, str]:
    """Position rows of one account."""
    client.send(61, 1)
    found = {row[4]: row[14] for row in await client.receive_until(62) if row[0] == "61" and row[2] == account}
    client.send(64, 1)
    return found


def test_a_cash_accounts_funds_are_its_settled_cash_until_the_proceeds_have_settled() -> None:
    async def scenario() -> None:
        now = [FRIDAY]
        async with (
            serving(NO_MARGIN | {"quotes": {"interval_ms": 10}}, clock=lambda: now[0]) as gateway,
            connected(gateway) as ib,
            bare(gateway, 2) as client,
        ):
            sale = ib.placeOrder(stock("AAPL"), market("SELL", 100, account=SELLER))
            await until(sale.isDone)
            after = await updates(client, SELLER)
            cash = f"{gateway.cash(SELLER):.2f}"
            for key in ("AvailableFunds", "BuyingPower", "EquityWithLoanValue"):
                assert after[key, "USD"] == "412.37"
            assert after["TotalCashValue", "USD"] == cash
            assert after["SettledCashByDate", "USD"] == f"20261120:412.37;20261123:{cash}"
            now[0] += timedelta(days=1)
            await asyncio.sleep(0.05)
            assert gateway.account(SELLER).unsettled, "nothing settles on a Saturday"
            now[0] = MONDAY
            await until(lambda: not gateway.account(SELLER).unsettled)
            settled = await updates(client, SELLER)
            assert settled["AvailableFunds", "USD"] == cash
            assert settled["SettledCashByDate", "USD"] == f"20261123:{cash}"

    run(scenario())


def test_a_cash_account_may_buy_with_proceeds_that_its_funds_do_not_show() -> None:
    async def scenario() -> None:
        async with serving(NO_MARGIN) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            for side, symbol, quantity in (("SELL", "AAPL", 100), ("BUY", "SPY", 30)):
                trade = ib.placeOrder(stock(symbol), market(side, quantity, account=SELLER))
                await until(trade.isDone)
                assert trade.orderStatus.status == "Filled"
            ib.placeOrder(stock("SPY"), market("BUY", 30, account=SELLER))
            await until(lambda: errors)
            assert errors[0][1] == 201

    run(scenario())


def test_open_buys_bind_funds() -> None:
    async def scenario() -> None:
        async with (
            serving({"fills": {"mode": "never"}}) as gateway,
            connected(gateway) as ib,
            bare(gateway, 2) as client,
        ):
            ib.placeOrder(stock("SPY"), market("BUY", 10))
            await until(lambda: gateway.orders)
            bound = 10 * gateway.exchange.market.quote("SPY").ask + 1
            assert (await updates(client, ACCOUNT))["AvailableFunds", "USD"] == f"{250_000 - bound:.2f}"

    run(scenario())


def test_updates_and_summaries_name_settled_cash_differently() -> None:
    async def scenario() -> None:
        async with serving(clock=lambda: FRIDAY) as gateway, bare(gateway, 1) as client:
            told = await updates(client, ACCOUNT)
            assert told["SettledCashByDate", "USD"] == "20261120:250000.00"
            assert not {"SettledCash", "Leverage", "DayTradesRemaining"} & {key for key, _ in told}
            assert told["TradingType-S", ""] == "STKCASH"
            tags = "SettledCash,SettledCashByDate,Leverage"
            assert set(await summary(client, ACCOUNT, tags)) == {("SettledCash", "USD"), ("Leverage", "")}
            assert set(await summary(client, SELLER, tags)) == {("Leverage", "")}
            assert (await updates(client, SELLER))["TradingType-S", ""] == "STKMRGN"

    run(scenario())


@pytest.mark.parametrize(("overrides", "prefix"), [({}, "$LEDGER-"), ({"gateway": {"ledger_prefix": False}}, "")])
def test_keys_of_one_currency_have_the_prefix_in_updates_only(overrides: dict[str, Any], prefix: str) -> None:
    async def scenario() -> None:
        async with serving(overrides) as gateway, bare(gateway, 1) as client:
            told = await updates(client, ACCOUNT)
            assert told[f"{prefix}CashBalance", "USD"] == told[f"{prefix}CashBalance", "BASE"] == "250000.00"
            assert told["NetLiquidation", "USD"] == "250000.00"
            assert ("CashBalance" in {key for key, _ in told}) is not bool(prefix)
            assert ("CashBalance", "USD") in await summary(client, ACCOUNT, "$LEDGER")

    run(scenario())


def test_an_account_may_have_several_currencies_and_another_base() -> None:
    async def scenario() -> None:
        euro = {"base_currency": "EUR", "other_cash": {"EUR": "1000"}, "accrued_interest": "12.5"}
        async with serving(EURO | {"accounts": {ACCOUNT: euro}}) as gateway, bare(gateway, 1) as client:
            told = await updates(client, ACCOUNT)
            assert told["NetLiquidation", "EUR"] == "201010.00"
            assert told["TotalCashValue", "EUR"] == "201000.00"
            assert ("NetLiquidation", "USD") not in told
            ledger = {currency: told["$LEDGER-CashBalance", currency] for currency in ("BASE", "EUR", "USD")}
            assert ledger == {"BASE": "201000.00", "EUR": "1000.00", "USD": "250000.00"}
            rates = {currency: told["$LEDGER-ExchangeRate", currency] for currency in ("BASE", "EUR", "USD")}
            assert rates == {"BASE": "1.00", "EUR": "1.00", "USD": "0.8000000"}

    run(scenario())


def test_cash_moves_by_itself_and_rates_change() -> None:
    async def scenario() -> None:
        async with (
            serving(EURO) as gateway,
            controlling(gateway) as control,
            connected(gateway, account=ACCOUNT) as ib,
        ):
            conversion = {"account": ACCOUNT, "amounts": {"USD": "-1250", "EUR": "1000"}, "accrued_dividends": "40"}
            assert (await control.post("/cash", json=conversion)).status_code == 200
            assert (await control.post("/rates", json={"EUR": "1.5"})).status_code == 200
            assert gateway.account(ACCOUNT).cash == 248_750
            assert gateway.exchange.valuation(ACCOUNT).net_liquidation == 250_290
            await until(lambda: ("CashBalance", "EUR") in {_tag(value) for value in ib.accountValues(ACCOUNT)})
            for body in ({**conversion, "account": "DU9"}, {**conversion, "amounts": {"XXX": 1}}):
                assert (await control.post("/cash", json=body)).status_code == 400

    def _tag(value: Any) -> tuple[str, str]:
        return value.tag.removeprefix("$LEDGER-"), value.currency

    run(scenario())


def test_a_split_changes_the_price_at_once_and_holdings_later_and_pays_fractions_in_cash() -> None:
    async def scenario() -> None:
        overrides = {"accounts": {ACCOUNT: {"positions": {"SPY": 101, "GLD": "1.5"}}}}
        async with serving(overrides) as gateway, controlling(gateway) as control:
            before = gateway.exchange.market.quote("SPY")
            for symbol in ("SPY", "GLD"):
                await control.post("/splits", json={"symbol": symbol, "ratio": "1.5", "booked_after_s": 1})
            after = gateway.exchange.market.quote("SPY")
            assert abs(after.mark * Decimal("1.5") - before.mark) < Decimal("0.05")
            assert after.close == before.close
            assert gateway.positions(ACCOUNT) == {"SPY": 101, "GLD": Decimal("1.5")}
            await until(lambda: gateway.positions(ACCOUNT)["GLD"] == Decimal("2.25"), "fractions go on as fractions")
            assert gateway.positions(ACCOUNT)["SPY"] == 151
            assert gateway.cash(ACCOUNT) == 250_000 + after.last / 2
            assert (await control.post("/splits", json={"symbol": "NOPE", "ratio": 2})).status_code == 400

    run(scenario())


@pytest.mark.parametrize(
    ("new", "quantity", "cost"), [(0, 300, 50), (20, 280, "53.57"), (150, 150, 100), (170, 150, 100)]
)
def test_what_was_bought_at_the_new_price_is_not_split(new: int, quantity: int, cost: object) -> None:
    holding = Holding(Decimal(150), Decimal(100))
    account = AccountState(ACCOUNT, "INDIVIDUAL", margin=False, settled=Decimal(0), holdings={"SPY": holding})
    split = account.after_split("SPY", Decimal(2), Decimal(50), Decimal(new))
    assert split.held("SPY") == quantity
    assert round(split.holdings["SPY"].average_cost, 2) == Decimal(str(cost))


@pytest.mark.parametrize(
    ("own", "every", "shown"),
    [
        ("positions_lag_ms", {}, {"cash": False, "funds": False, "shares": True}),
        ("values_lag_ms", {}, {"cash": True, "funds": True, "shares": False}),
        ("funds_lag_ms", {}, {"cash": False, "funds": True, "shares": False}),
        (None, {"positions": 400}, {"cash": False, "funds": False, "shares": True}),
        (None, {"values": 400, "funds": 400}, {"cash": True, "funds": True, "shares": False}),
    ],
)
def test_what_clients_see_may_lag_behind_a_fill(own: str | None, every: dict[str, int], shown: dict[str, bool]) -> None:
    async def seen(client: BareClient) -> dict[str, Any]:
        told = await updates(client, SELLER)
        held = await shares(client, SELLER)
        return {"cash": told["TotalCashValue", "USD"], "funds": told["AvailableFunds", "USD"], "shares": held}

    async def scenario() -> None:
        lag = {own: 400} if own else {}
        overrides = {"accounts": {SELLER: {"margin": True, **lag}}, "faults": {"lags_ms": every}}
        async with serving(overrides) as gateway, connected(gateway) as ib, bare(gateway, 2) as client:
            before = await seen(client)
            trade = ib.placeOrder(stock("AAPL"), market("SELL", 10, account=SELLER))
            await until(trade.isDone)
            at_once = await seen(client)
            assert {name: at_once[name] == before[name] for name in shown} == shown
            async with asyncio.timeout(DEADLINE_S):
                while any(value == before[name] for name, value in (await seen(client)).items()):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)  # fifty messages a second are allowed

    run(scenario())


def test_a_change_that_would_show_sooner_waits_for_those_before_it() -> None:
    async def scenario() -> None:
        every = {"lags_ms": {"positions": 500}}
        async with serving({"faults": every}) as gateway, connected(gateway) as ib, bare(gateway, 2) as client:

            async def held() -> Decimal:
                return Decimal((await shares(client, SELLER))["AAPL"])

            before = await held()
            await until(ib.placeOrder(stock("AAPL"), market("SELL", 10, account=SELLER)).isDone)
            gateway.set_faults(Faults())
            await until(ib.placeOrder(stock("AAPL"), market("SELL", 1, account=SELLER)).isDone)
            seen = [await held()]
            async with asyncio.timeout(DEADLINE_S):
                while seen[-1] != before - 11:
                    await asyncio.sleep(0.05)  # fifty messages a second are allowed
                    seen.append(await held())
            assert seen[0] == before, "both are done"
            assert set(seen) <= {before, before - 10, before - 11}

    run(scenario())


def test_after_a_restart_the_accounts_are_not_ready_for_a_while_and_what_was_missing_is_pushed() -> None:
    async def scenario() -> None:
        short = {"not_ready_ms": 300, "not_ready_positions": "0.5", "not_ready_values": "0.6"}
        async with serving({"gateway": short}) as gateway:
            async with bare(gateway, 1) as client:
                early = await updates(client, SELLER)
                assert (early["AccountReady", ""], early["TotalCashValue", "USD"]) == ("false", "247.42")
                client.send(61, 1)
                early_rows = [row[4] for row in await client.receive_until(62) if row[2:3] == [SELLER]]
                assert early_rows == ["AAPL"]
                pushed = await client.receive_until(61)
                while pushed[-1][2:5:2] != [SELLER, "GLD"]:
                    pushed += await client.receive_until(61)
                ready = await updates(client, SELLER)
                assert (ready["AccountReady", ""], ready["TotalCashValue", "USD"]) == ("true", "412.37")
            await gateway.restart(0.01)
            async with bare(gateway, 1) as client:
                assert (await updates(client, SELLER))["AccountReady", ""] == "false"

    run(scenario())


def test_f28_values_and_positions_can_be_missing_at_any_time() -> None:
    async def scenario() -> None:
        faults = {"account_not_ready": True, "hidden_positions": ["GLD"], "hidden_values": ["CashBalance"]}
        async with serving({"faults": faults}) as gateway, bare(gateway, 1) as client:
            told = await updates(client, SELLER)
            assert told["AccountReady", ""] == "false"
            assert "$LEDGER-CashBalance" not in {key for key, _ in told}
            assert told["NetLiquidation", "USD"] == f"{gateway.exchange.valuation(SELLER).net_liquidation:.2f}"
            assert set(await shares(client, SELLER)) == {"AAPL", "MSFT"}

    run(scenario())


def test_what_a_payment_changes_is_pushed_to_whoever_listens() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:
            client.send(76, 1, 5, ACCOUNT, "", 0)
            await client.receive_until(74)
            gateway.exchange.pay(ACCOUNT, Payment({"USD": Decimal(-3)}))
            changed = await client.receive()
            assert changed[0] == "73"

    run(scenario())
