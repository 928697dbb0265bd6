"""Quotes that cannot be trusted, markets that are closed, logins with many accounts."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest

from rebalancer.ledger.states import EventState
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import (
    ACCOUNT,
    HOLDINGS,
    OTHER,
    SETUP,
    Bench,
    Outcome,
    ends_on_target,
    fails_without_an_order,
)


@pytest.mark.parametrize("kind", ["none", "minus_one", "zero", "crossed"])
def test_f15_a_symbol_without_a_sane_quote_stops_everything_before_the_first_order(
    benches: MakeBench, kind: str
) -> None:
    with benches(faults={"quotes": {"GLD": kind}}) as here:
        here.patience(quote_timeout_s=0.3)
        fails_without_an_order(here, "QuoteUnavailable", "GLD")
        here.fault()
        here.reconnect()
        ends_on_target_without_aim(here)


@pytest.mark.parametrize(
    ("code", "ticks"),
    [(354, "none"), (10089, "none"), (10168, "none"), (10197, "none"), (10167, "delayed"), (10186, "none")],
)
def test_f15_quotes_that_are_not_subscribed_or_delayed_stop_everything(
    benches: MakeBench, code: int, ticks: str
) -> None:
    with benches(faults={"market_data": {"GLD": {"code": code, "ticks": ticks}}}) as here:
        here.patience(quote_timeout_s=0.3)
        fails_without_an_order(here, "QuoteUnavailable", "GLD")


def test_f15_a_partly_subscribed_line_is_used(benches: MakeBench) -> None:
    with benches(faults={"market_data": {"GLD": {"code": 10090, "ticks": "live"}}}) as here:
        here.aim()
        ends_on_target(here, 1)


def test_f15_a_late_first_tick_is_waited_for(benches: MakeBench) -> None:
    with benches(faults={"delayed_ms": {1: 150}}) as here:
        here.aim()
        ends_on_target(here, 1)


def test_f20_sixty_accounts_under_one_login_are_kept_apart(benches: MakeBench) -> None:
    others = {f"DU2{number:06}": {"cash": 1_000, "positions": {"SPY": 3}} for number in range(59)}
    with benches(accounts={ACCOUNT: SETUP["accounts"][ACCOUNT], **others}) as here:
        here.aim()
        ends_on_target(here, 1)
        assert here.served.do(lambda gateway: {one.account for one in gateway.orders}) == {ACCOUNT}


OTHERS = {"margin": True, "cash": 50_000, "positions": {"EFA": 200, "SPY": 400}}


def test_f20_two_accounts_traded_at_the_same_time_with_the_same_order_numbers_do_not_mix(
    benches: MakeBench,
) -> None:
    accounts = {ACCOUNT: SETUP["accounts"][ACCOUNT], OTHER: OTHERS}
    slow = {"mode": "partial", "slices": 3, "delay_ms": 40, "interval_ms": 40}
    # Whoever sees the other's open orders counts on from above them: both look before either has any.
    with benches(accounts=accounts, fills=slow, gateway={"latency_ms": 200, "messages_per_window": 1000}) as one:
        two = one.beside(OTHER, client_id=8)
        one.aim()
        two.aim()
        one.reconnect()
        two.reconnect()
        outcomes: list[Outcome] = []
        threads = [
            threading.Thread(target=lambda bench=bench: outcomes.append(bench.rebalance())) for bench in (one, two)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [outcome.state for outcome in outcomes] == [EventState.SUCCEEDED] * 2
        numbers = one.served.do(
            lambda gateway: [{o.order_id for o in gateway.orders if o.client_id == client} for client in (7, 8)]
        )
        assert len(numbers[0] & numbers[1]) >= 3, "the same order numbers were in use, by a sale and by purchases"
        for bench in (one, two):
            assert bench.positions == bench.wanted
            bench.prove_books()
        two.close()


def test_f21_in_a_closed_market_nothing_is_left_to_fill_at_the_open(benches: MakeBench) -> None:
    with benches(market={"mode": "closed"}) as here:
        here.settings |= {"order_timeout_s": 0.2, "order_rounds": 1}
        outcome = here.rebalance()
        assert outcome.state in {EventState.RETRYING, EventState.HELD}
        assert here.served.do(lambda gateway: gateway.exchange.book.open_orders(ACCOUNT)) == []
        assert here.positions == {symbol: Decimal(shares) for symbol, shares in HOLDINGS.items()}


def ends_on_target_without_aim(here: Bench) -> None:
    here.aim()
    ends_on_target(here, 1)
