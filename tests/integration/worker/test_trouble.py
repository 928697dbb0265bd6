"""What goes away comes back: gateway, allocations, and a worker that dies in the middle of its orders."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from rebalancer.domain.commands import Command
from rebalancer.health import readiness
from rebalancer.services import Services
from tests.world import World, held, kill, until

HEADERS = {"x-api-key": "sandbox"}


def raw(here: World) -> str:
    return f"{here.allocations.url}/etf-blend-301-20/raw"


def test_a_gateway_that_is_away_is_retried_until_it_is_back(here: World) -> None:
    worker = here.start_worker(IB_PORT="1")
    here.start_beat()
    event_id = here.submit("DU1000001", Command.PRINT_EQUITY)
    until(lambda: here.event(event_id).times_queued >= 3)
    assert "gateway 127.0.0.1:1" in (here.event(event_id).last_error or "")
    kill(worker)
    here.start_worker()
    here.finish(event_id)


def test_an_idle_worker_finds_a_gateway_again_that_restarts_at_night(here: World) -> None:
    def gateway_is_well() -> bool:
        (check,) = [one for one in readiness.check(Services.of(here.settings)) if one.name == "gateway"]
        return check.ok

    here.start_worker(WORKER_CONCURRENCY="2")
    until(gateway_is_well)
    asyncio.run_coroutine_threadsafe(here.gateway.gateway.restart(1), here.gateway.loop).result(10)
    until(lambda: here.gateway.do(lambda gateway: min(map(gateway.client_ids.count, (100, 101)))) >= 2)
    until(gateway_is_well)


def test_a_repaired_source_is_used_at_the_next_try(here: World) -> None:
    httpx.put(raw(here), json={"status": 500, "body": "oops"}, headers=HEADERS).raise_for_status()
    here.start_worker()
    here.start_beat()
    event_id = here.submit("DU1000001", Command.REBALANCE)
    until(lambda: here.event(event_id).state == "retrying")
    httpx.delete(raw(here), headers=HEADERS).raise_for_status()
    assert here.finish(event_id).orders == 6


def orders_seen(here: World) -> int:
    return here.gateway.do(lambda gateway: len(gateway.orders))


def fills_seen(here: World) -> int:
    return here.gateway.do(lambda gateway: len(gateway.executions))


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(lambda here: orders_seen(here) >= 1, id="after the first order was sent"),
        pytest.param(lambda here: fills_seen(here) >= 1, id="after the first fill"),
        pytest.param(lambda here: orders_seen(here) >= 3, id="among the buys"),
    ],
)
def test_a_killed_workers_run_ends_on_target_without_a_double_order(
    slow: World, moment: Callable[[World], bool]
) -> None:
    """The worker dies with partly filled orders working under its client id."""
    worker = slow.start_worker()
    slow.start_beat()
    event_id = slow.submit("DU1000007", Command.REBALANCE)
    until(lambda: moment(slow))
    kill(worker)
    slow.start_worker()
    slow.finish(event_id, 60)
    left = slow.finish(slow.submit("DU1000007", Command.PRINT_REBALANCE)).result
    assert left is not None
    assert left["orders"] == []
    assert {"VTI", "BND"}.isdisjoint(held(slow, "DU1000007"))
    sides = slow.gateway.do(lambda gateway: {(one.order.symbol, one.order.side) for one in gateway.executions})
    both = [symbol for symbol, count in Counter(symbol for symbol, _ in sides).items() if count > 1]
    assert both == [], "a symbol was traded in both directions"
    refs = slow.gateway.do(lambda gateway: [order.ticket.order_ref for order in gateway.orders])
    assert len(refs) == len(set(refs))
