"""Snapshots of accounts: always of now, and refused rather than guessed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from rebalancer.domain.errors import GatewayUnavailable, Refused
from rebalancer.domain.portfolio import Side
from rebalancer.ibkr import BrokerOptions
from sandbox.gateway.behaviour import Delivery, Incoming
from sandbox.gateway.wire import Message
from tests.integration.ibkr.serving import Script, ServedGateway, connected, executing, order, serving

ACCOUNT_VALUE = 73
SUMMARY, END_OF_SUMMARY, SUMMARY_COMPLETE = 62, 63, 64


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def served(script: Script) -> Iterator[ServedGateway]:
    with serving(script) as served:
        yield served


def requests(served: ServedGateway, message_id: int) -> int:
    return served.do(lambda gateway: gateway.message_counts[message_id])


def test_snapshot_holds_one_accounts_values_and_positions(served: ServedGateway) -> None:
    with connected(served) as broker:
        snapshot = broker.snapshot("DU1")
    assert (snapshot.net_liquidation, snapshot.cash) == (Decimal("105750.00"), Decimal("100000.00"))
    assert (snapshot.settled_cash, snapshot.available_funds) == (Decimal("100000.00"), Decimal("100000.00"))
    assert snapshot.account_type == "INDIVIDUAL"
    held = {(p.symbol, p.quantity, p.contract_id, p.security_type, p.currency) for p in snapshot.positions}
    assert held == {("SPY", Decimal(50), 1000, "STK", "USD"), ("GLD", Decimal("7.5"), 1002, "STK", "USD")}


def test_the_equity_of_the_last_close_stays_while_prices_move(served: ServedGateway) -> None:
    with connected(served) as broker:
        served.do(lambda gateway: gateway.exchange.set_price("SPY", Decimal(110)))
        snapshot = broker.snapshot("DU1")
    assert (snapshot.previous_equity, snapshot.net_liquidation) == (Decimal("105750.00"), Decimal("106250.00"))


def test_what_each_holding_is_worth_is_the_brokers_word(served: ServedGateway) -> None:
    with connected(served) as broker:
        assert broker.marks("DU1") == {1000: Decimal("5000.00"), 1002: Decimal("750.00")}
        served.do(lambda gateway: gateway.exchange.set_price("SPY", Decimal(110)))
        assert broker.marks("DU1")[1000] == Decimal("5500.00")
        assert broker.marks("DU2") == {}


def test_account_without_positions_has_none(served: ServedGateway) -> None:
    with connected(served) as broker:
        assert broker.snapshot("DU2").positions == ()


def test_snapshot_shows_a_trade_at_once(served: ServedGateway) -> None:
    with connected(served) as broker:
        broker.snapshot("DU1")
        list(executing(broker, [order("a", "VXX", quantity=3)], 5))
        snapshot = broker.snapshot("DU1")
        assert {p.symbol: p.quantity for p in snapshot.positions}["VXX"] == 3
        assert snapshot.cash == Decimal("100000.00") - 3 * Decimal("100.01") - 1


def test_sold_out_position_is_gone(served: ServedGateway) -> None:
    with connected(served) as broker:
        list(executing(broker, [order("a", "SPY", Side.SELL, 50)], 5))
        assert {p.symbol for p in broker.snapshot("DU1").positions} == {"GLD"}


def test_account_of_another_login_is_refused_with_the_managed_ones_named(served: ServedGateway) -> None:
    with connected(served) as broker:
        for ask in (broker.snapshot, broker.open_orders, broker.cancel_open_orders):
            with pytest.raises(Refused, match=r"U999.*DU1, DU2") as refused:
                ask("U999")
            assert refused.value.rule == "account_not_managed"


def test_values_of_a_model_portfolio_are_none_of_the_accounts(served: ServedGateway, script: Script) -> None:
    def change(message: Message) -> tuple[Delivery, ...]:
        if message[0] != ACCOUNT_VALUE:
            return (Delivery(message),)
        of_model = (*message[:4], "Growth", message[5], "77.00", *message[7:])
        return (Delivery(message), Delivery(of_model))

    script.change = change
    with connected(served) as broker:
        snapshot = broker.snapshot("DU1")
    assert (snapshot.net_liquidation, snapshot.cash) == (Decimal("105750.00"), Decimal("100000.00"))


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (None, "equity_missing"),
        (("NetLiquidation", "100000.00", "EUR"), "equity_currency"),
        (("NetLiquidation", "0.00", "USD"), "equity_not_positive"),
        (("NetLiquidation", "-5.00", "USD"), "equity_not_positive"),
        (("NetLiquidation", "NaN", "USD"), "equity_missing"),
    ],
)
def test_unusable_equity_is_refused(
    served: ServedGateway, script: Script, row: tuple[str, str, str] | None, rule: str
) -> None:
    """Zero equity once meant zero targets, and every position was sold."""

    def change(message: Message) -> tuple[Delivery, ...]:
        if message[0] != ACCOUNT_VALUE or message[5] != "NetLiquidation":
            return (Delivery(message),)
        return () if row is None else (Delivery((*message[:5], *row)),)

    script.change = change
    with connected(served) as broker:
        with pytest.raises(Refused, match="NetLiquidation") as refused:
            broker.snapshot("DU1")
        assert refused.value.rule == rule


def test_cash_is_what_exists_in_dollars(served: ServedGateway, script: Script) -> None:
    """80000 of the total are euros, whose row is not even sent; buying with them would borrow dollars."""

    def change(message: Message) -> tuple[Delivery, ...]:
        dollars = message[0] == ACCOUNT_VALUE and message[5] == "$LEDGER-CashBalance" and message[7] == "USD"
        return (Delivery((*message[:6], "20000.00", "USD") if dollars else message),)

    script.change = change
    with connected(served) as broker:
        snapshot = broker.snapshot("DU1")
    assert (snapshot.cash, snapshot.other_cash) == (Decimal(20_000), Decimal(80_000))


def test_the_kind_of_account_is_what_the_broker_says(served: ServedGateway) -> None:
    with connected(served) as broker:
        assert broker.snapshot("DU1").trading_type == "STKCASH"


def test_funds_of_a_cash_account_do_not_rise_with_a_sale(served: ServedGateway) -> None:
    with connected(served) as broker:
        list(executing(broker, [order("a", "SPY", Side.SELL, 50)], 5))
        snapshot = broker.snapshot("DU1")
    assert snapshot.cash > 104_000
    assert snapshot.available_funds == snapshot.settled_cash == snapshot.buying_power == 100_000


def no_schedule(message: Message) -> tuple[Delivery, ...]:
    hidden = message[0] == ACCOUNT_VALUE and message[5] == "SettledCashByDate"
    return () if hidden else (Delivery(message),)


def test_calls_wait_for_one_of_the_few_summaries_that_ibkr_allows(script: Script) -> None:
    script.change = lambda message: (
        (Delivery(message, 0.1),) if message[0] == SUMMARY_COMPLETE else no_schedule(message)
    )
    with (
        serving(script, gateway={"max_account_summaries": 1}) as served,
        connected(served) as broker,
        ThreadPoolExecutor(4) as pool,
    ):
        broker.managed_accounts()
        found = list(pool.map(broker.snapshot, ["DU1", "DU2"] * 2))
        assert [one.settled_cash for one in found] == [100_000, 50_000] * 2
        assert requests(served, SUMMARY) > requests(served, END_OF_SUMMARY) == 4


def test_summaries_that_stay_taken_are_told_and_given_back_with_the_connection(script: Script) -> None:
    script.change = no_schedule
    script.requests = {END_OF_SUMMARY: Incoming.IGNORE}
    options = BrokerOptions(request_timeout_s=5)
    with serving(script) as served, connected(served, options=options, request_timeout_s=0.6) as broker:
        for _ in range(2):
            broker.snapshot("DU1")
        with pytest.raises(GatewayUnavailable, match=r"account summary .*322"):
            broker.snapshot("DU1")
        assert broker.snapshot("DU1").settled_cash == 100_000
