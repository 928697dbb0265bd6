"""A run waits for nothing but answers: its duration is a small number of the gateway's round trips."""

from __future__ import annotations

import time

import pytest

from rebalancer.ledger.states import EventState
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import ACCOUNT, OTHER, SYMBOLS, Bench

TEN = {"margin": True, "cash": 120_000, "positions": dict.fromkeys(SYMBOLS[:6], 150)}
TARGETS = dict.fromkeys(SYMBOLS[1:11], 0.0991)
LATENCY_S = 0.05
ROUND_TRIPS = 12
SLACK_S = 0.5
"""For a machine that does other things beside."""


def seconds(benches: MakeBench, account: str, latency_s: float) -> float:
    """Duration of a rebalance of ten symbols from claim to outcome, over a connection that stands."""
    gateway = {"latency_ms": 1000 * latency_s, "messages_per_window": 1000}
    with benches(accounts={account: TEN}, gateway=gateway) as here, here.targets(TARGETS):
        here.account = account
        here.planned()
        took = _timed(here)
        assert len(here.served.do(lambda gateway: {order.symbol for order in gateway.orders})) >= 10
        return took


def _timed(here: Bench) -> float:
    event_id = here.request()
    started = time.monotonic()
    outcome = here.attempt(event_id)
    took = time.monotonic() - started
    assert outcome.state is EventState.SUCCEEDED, outcome
    return took


@pytest.mark.alone
def test_a_rebalance_of_ten_symbols_takes_a_dozen_round_trips(benches: MakeBench) -> None:
    instant = seconds(benches, ACCOUNT, 0)
    slow = seconds(benches, OTHER, LATENCY_S)
    print(f"ten symbols: {instant:.3f} s at an instant gateway, {slow:.3f} s at {LATENCY_S * 1000:.0f} ms per answer")
    assert slow - instant < ROUND_TRIPS * LATENCY_S + SLACK_S
