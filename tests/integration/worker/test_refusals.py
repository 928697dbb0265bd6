"""Input that justifies no order is refused with its numbers, retried, and never traded on."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from rebalancer.domain.commands import Command
from rebalancer.services import Services
from tests.integration.ibkr.serving import Script
from tests.world import STRANGER, World, until

HEADERS = {"x-api-key": "sandbox"}


def raw(working: World) -> str:
    return f"{working.allocations.url}/etf-blend-301-20/raw"


def fails_with(working: World, account: str, text: str) -> None:
    """The rebalance is retried for that reason, and nothing was sent."""
    sent = working.gateway.do(lambda gateway: len(gateway.orders))
    event_id = working.submit(account, Command.REBALANCE)
    until(lambda: working.event(event_id).state == "retrying", 30, lambda: str(working.event(event_id)))
    reason = working.event(event_id).last_error or ""
    Services.of(working.settings).dispatcher.remove(event_id, "end of the test")
    assert text in reason
    assert working.gateway.do(lambda gateway: len(gateway.orders)) == sent


def body(*rows: tuple[str, float]) -> str:
    allocations = [{"symbol": symbol, "allocation": share} for symbol, share in rows]
    return json.dumps({"status": "success", "data": {"allocations": allocations}})


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"status": 503, "body": "maintenance"}, "503"),
        ({"status": 200, "body": body()}, "allocations_empty"),
        ({"status": 200, "body": body(("SPY", 0.5), ("QQQ", 0.2))}, "0.7"),
        ({"status": 200, "body": body(("SPY", 50), ("QQQ", 50))}, "percent"),
        ({"status": 200, "body": body(("SPY", 0.5), ("SPY", 0.5))}, "allocations_duplicate"),
    ],
)
def test_allocations_that_justify_nothing_trade_nothing(working: World, answer: dict[str, Any], text: str) -> None:
    httpx.put(raw(working), json=answer, headers=HEADERS).raise_for_status()
    fails_with(working, "DU1000002", text)
    httpx.delete(raw(working), headers=HEADERS).raise_for_status()


def test_without_quotes_nothing_is_sent(working: World, shared_script: Script) -> None:
    shared_script.show = lambda _quote: None
    fails_with(working, "DU1000003", "QuoteUnavailable")
    shared_script.show = lambda quote: quote


def test_an_account_of_another_login_is_refused_with_the_managed_ones(working: World) -> None:
    fails_with(working, STRANGER, "account_not_managed")
