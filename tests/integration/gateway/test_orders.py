"""The life of orders, from placing to completion."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import ib_async
import pytest

from rebalancer.domain.order_states import OrderStatus
from sandbox.gateway.server import Gateway
from tests.integration.gateway.clients import (
    ACCOUNT,
    bare,
    connected,
    errors_of,
    limit,
    listed,
    market,
    order_fields,
    run,
    serving,
    stock,
    until,
)

OPENING = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
CALENDAR = {"market": {"mode": "calendar"}, "quotes": {"interval_ms": 10}}


def statuses(trade: ib_async.Trade) -> list[str]:
    """What the client was told, in order, without its own first guess."""
    return [entry.status for entry in trade.log[1:]]


def test_a_market_order_lives_its_whole_life() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("QQQ"), market("BUY", 10, "ref-1"))
            await until(lambda: trade.isDone() and trade.fills and trade.fills[0].commissionReport.execId)
            fill = trade.fills[0]
            assert [s for s in statuses(trade) if s != "Submitted"] == ["PreSubmitted", "Filled"]
            assert (fill.execution.side, fill.execution.shares, fill.execution.price) == ("BOT", 10, 612.2)
            assert (fill.execution.orderRef, fill.execution.acctNumber) == ("ref-1", ACCOUNT)
            assert fill.execution.permId == trade.order.permId > 0
            assert fill.commissionReport.commission == 1.0
            assert trade.orderStatus.avgFillPrice == 612.2
            assert gateway.positions(ACCOUNT) == {"QQQ": 10}
            assert gateway.cash(ACCOUNT) == Decimal(250_000) - Decimal("612.2") * 10 - 1
            assert [order.ticket.order_ref for order in gateway.orders] == ["ref-1"]
            assert [execution.order.ticket.order_ref for execution in gateway.executions] == ["ref-1"]

    run(scenario())


def test_a_sale_reports_its_realized_profit() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("GLD"), market("SELL", 90, account="DU1000002"))
            await until(lambda: trade.fills and trade.fills[0].commissionReport.execId)
            profit = 90 * (374.47 - 243.15) - 1
            assert trade.fills[0].execution.side == "SLD"
            assert trade.fills[0].commissionReport.realizedPNL == pytest.approx(profit)

    run(scenario())


def test_a_limit_order_waits_until_the_market_reaches_it() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), limit("BUY", 5, 600.0))
            await until(lambda: trade.orderStatus.status == "Submitted")
            gateway.exchange.set_price("SPY", Decimal("599.50"))
            await until(trade.isDone)
            assert trade.fills[0].execution.price == pytest.approx(599.51)

    run(scenario())


def test_a_marketable_limit_order_gets_the_better_price_at_once() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), limit("BUY", 5, 700.0))
            await until(trade.isDone)
            assert trade.orderStatus.avgFillPrice < 673

    run(scenario())


def test_partial_fills_come_in_pieces_and_their_commissions_add_up_to_one_order() -> None:
    async def scenario() -> None:
        fills = {"mode": "partial", "slices": 4, "delay_ms": 1, "interval_ms": 1}
        async with serving({"fills": fills}) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("BTAL"), market("BUY", 1003))
            await until(trade.isDone)
            await until(lambda: all(fill.commissionReport.execId for fill in trade.fills))
            assert [fill.execution.shares for fill in trade.fills] == [251, 251, 251, 250]
            assert [fill.execution.cumQty for fill in trade.fills] == [251, 502, 753, 1003]
            assert sum(fill.commissionReport.commission for fill in trade.fills) == pytest.approx(1003 * 0.005)

    run(scenario())


def test_a_partial_fill_that_stops_leaves_the_rest_working() -> None:
    async def scenario() -> None:
        fills = {"mode": "partial", "slices": 1, "delay_ms": 0, "fraction": "0.4"}
        async with serving({"fills": fills}) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), market("BUY", 10))
            await until(lambda: trade.filled() == 4)
            assert trade.orderStatus.status == "Submitted"
            ib.cancelOrder(trade.order)
            await until(lambda: trade.orderStatus.status == "Cancelled")
            assert (trade.orderStatus.filled, trade.orderStatus.remaining) == (4, 6)
            assert gateway.positions(ACCOUNT) == {"SPY": 4}

    run(scenario())


def test_fill_rules_differ_by_symbol() -> None:
    async def scenario() -> None:
        fills = {"by_symbol": {"SPY": {"mode": "never"}, "QQQ": {"mode": "delayed", "delay_ms": 5}}}
        async with serving({"fills": fills}) as gateway, connected(gateway) as ib:
            trades = [ib.placeOrder(stock(symbol), market("BUY", 1)) for symbol in ("SPY", "QQQ", "IWM")]
            await until(lambda: trades[1].isDone() and trades[2].isDone())
            assert trades[0].orderStatus.status == "Submitted"

    run(scenario())


def test_commissions_may_lag() -> None:
    async def scenario() -> None:
        async with serving({"orders": {"commission_delay_ms": 300}}) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), market("BUY", 1))
            await until(trade.isDone)
            assert not trade.fills[0].commissionReport.execId
            await until(lambda: trade.fills[0].commissionReport.execId)

    run(scenario())


def test_what_if_shows_margins_and_commission_and_changes_nothing() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            state = await ib.whatIfOrderAsync(listed(gateway, "QQQ"), market("BUY", 10))
            assert (state.initMarginChange, state.equityWithLoanChange) == ("6122.00", "-1.00")
            assert state.commission == 1.0
            assert not gateway.orders
            assert gateway.cash(ACCOUNT) == 250_000
            refused: object = await ib.whatIfOrderAsync(listed(gateway, "QQQ"), market("BUY", 10_000))
            assert refused == []

    run(scenario())


def test_completed_orders_and_executions_are_found_by_a_later_session() -> None:
    async def scenario() -> None:
        async with serving() as gateway:
            async with connected(gateway, 1) as ib:
                done = ib.placeOrder(stock("SPY"), market("BUY", 3, "filled"))
                gone = ib.placeOrder(stock("SPY"), limit("BUY", 3, 1.0, "cancelled"))
                await until(lambda: done.isDone() and gone.orderStatus.status == "Submitted")
                ib.cancelOrder(gone.order)
                await until(lambda: gone.orderStatus.status == "Cancelled")
            async with connected(gateway, 2) as ib:
                completed = {t.order.orderRef: t for t in await ib.reqCompletedOrdersAsync(False)}
                assert {ref: trade.orderStatus.status for ref, trade in completed.items()} == {
                    "filled": "Filled",
                    "cancelled": "Cancelled",
                }
                assert completed["filled"].order.filledQuantity == 3
                fills = await ib.reqExecutionsAsync(ib_async.ExecutionFilter(acctCode=ACCOUNT))
                assert [(fill.execution.orderRef, fill.execution.clientId) for fill in fills] == [("filled", 1)]
                assert not await ib.reqExecutionsAsync(ib_async.ExecutionFilter(acctCode="DU1000002"))
                assert not await ib.reqExecutionsAsync(ib_async.ExecutionFilter(time="20991231 00:00:00 US/Eastern"))

    run(scenario())


def test_open_orders_outlive_their_session_and_answer_to_the_same_client_id() -> None:
    async def scenario() -> None:
        async with serving() as gateway:
            async with connected(gateway, 3) as ib:
                trade = ib.placeOrder(stock("SPY"), limit("BUY", 1, 1.0, "left"))
                await until(lambda: trade.orderStatus.status == "Submitted")
            async with connected(gateway, 4) as other:
                assert not other.openTrades()
                assert [t.order.orderRef for t in await other.reqAllOpenOrdersAsync()] == ["left"]
            async with connected(gateway, 3) as ib:
                (found,) = ib.openTrades()
                assert ib.client.getReqId() > found.order.orderId
                ib.cancelOrder(found.order)
                await until(lambda: found.orderStatus.status == "Cancelled")

    run(scenario())


def test_changing_a_live_order_keeps_its_perm_id() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), limit("BUY", 5, 100.0))
            await until(lambda: trade.orderStatus.status == "Submitted")
            perm_id = trade.order.permId
            trade.order.lmtPrice, trade.order.totalQuantity = 680.0, 7
            ib.placeOrder(trade.contract, trade.order)
            await until(lambda: trade.orderStatus.status == "Filled")
            assert gateway.orders[0].perm_id == perm_id
            assert gateway.orders[0].filled == 7

    run(scenario())


def test_ids_continue_per_client() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as one, bare(gateway, 2) as two:
            one.send(3, 41, *order_fields(178))
            await one.receive_until(59)
            one.send(8, 1, 1)
            two.send(8, 1, 1)
            assert (await one.receive_until(9))[-1] == ["9", "1", "42"]
            assert (await two.receive_until(9))[-1] == ["9", "1", "1"]

    run(scenario())


def test_a_margin_account_may_borrow_and_a_cash_account_may_not() -> None:
    async def scenario() -> None:
        overrides = {"accounts": {"DU1000001": {"margin": True}}}
        async with serving(overrides) as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), market("BUY", 500))
            await until(trade.isDone)
            assert trade.orderStatus.status == "Filled"
            assert gateway.cash(ACCOUNT) < 0

    run(scenario())


def test_an_unset_time_in_force_is_told_10349_as_todays_gateways_do() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            trade = ib.placeOrder(stock("SPY"), market("BUY", 1, tif=""))
            await until(lambda: trade.orderStatus.status == "Filled")
            assert [code for _, code in errors] == [10349]

    run(scenario())


def test_an_untransmitted_order_waits_for_its_release() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), market("BUY", 1, transmit=False))
            await until(lambda: trade.orderStatus.permId)
            assert gateway.orders[0].status is OrderStatus.API_PENDING
            trade.order.transmit = True
            ib.placeOrder(trade.contract, trade.order)
            await until(lambda: trade.orderStatus.status == "Filled")

    run(scenario())


def test_orders_in_a_closed_market_are_held_until_it_opens() -> None:
    async def scenario() -> None:
        now = [OPENING - timedelta(hours=1)]
        async with serving(CALENDAR, clock=lambda: now[0]) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            held = ib.placeOrder(stock("SPY"), market("BUY", 1))
            await until(lambda: errors)
            assert errors[0][1] == 399
            assert gateway.orders[0].status is OrderStatus.PRE_SUBMITTED
            now[0] = OPENING
            await until(lambda: held.orderStatus.status == "Filled")

    run(scenario())


def test_a_day_order_expires_with_202_at_the_close_and_a_gtc_order_stays() -> None:
    async def scenario() -> None:
        now = [CLOSE - timedelta(hours=1)]
        async with serving(CALENDAR, clock=lambda: now[0]) as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            day = ib.placeOrder(stock("SPY"), limit("BUY", 1, 1.0))
            good = ib.placeOrder(stock("SPY"), limit("BUY", 1, 1.0, tif="GTC"))
            await until(lambda: day.orderStatus.status == good.orderStatus.status == "Submitted")
            now[0] = CLOSE
            await until(lambda: day.orderStatus.status == "Cancelled")
            assert (day.order.orderId, 202) in errors
            assert good.orderStatus.status == "Submitted"

    run(scenario())


def test_a_master_client_hears_of_everyone_elses_orders() -> None:
    async def scenario() -> None:
        overrides = {"gateway": {"master_client_id": 9}}
        async with serving(overrides) as gateway, connected(gateway, 9) as master, connected(gateway, 1) as ib:
            ib.placeOrder(stock("SPY"), market("BUY", 1, "theirs"))
            await until(master.fills)
            assert master.fills()[0].execution.orderRef == "theirs"

    run(scenario())


def test_twenty_orders_at_once_all_fill() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            trades = [ib.placeOrder(stock("BTAL"), market("BUY", 1, f"n{number}")) for number in range(20)]
            await until(lambda: all(trade.isDone() for trade in trades))
            assert len({order.perm_id for order in gateway.orders}) == 20
            assert gateway.message_counts[3] == 20

    run(scenario())


def test_different_clients_trade_different_accounts_at_the_same_time() -> None:
    async def trade_in(gateway: Gateway, client_id: int, account: str) -> None:
        async with connected(gateway, client_id) as ib:
            trade = ib.placeOrder(stock("BTAL"), market("BUY", client_id, account=account))
            await until(trade.isDone)
            assert {fill.execution.acctNumber for fill in ib.fills()} >= {account}

    async def scenario() -> None:
        accounts = [account for account in load_accounts() if account != "DU1000002"]
        async with serving() as gateway:
            await asyncio.gather(*(trade_in(gateway, 10 + n, account) for n, account in enumerate(accounts)))
            bought = {e.order.account: e.quantity for e in gateway.executions}
            assert bought == {account: 10 + n for n, account in enumerate(accounts)}

    run(scenario())


def load_accounts() -> list[str]:
    """The accounts of the default scenario."""
    return [f"DU100000{number}" for number in range(1, 8)]
