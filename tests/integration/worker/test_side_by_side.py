"""Two accounts of one login, traded at the same time by two worker processes whose order numbers are the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from rebalancer.domain.commands import Command
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from tests.world import DEFAULT_SCENARIO, World, world

ACCOUNTS = ("DU1000002", "DU1000007")


@pytest.fixture
def slow(tmp_path: Path, ledger: Ledger, redis_server: RunningServer) -> Iterator[World]:
    """Accounts alike, so that their processes ask the same and count alike; orders fill in pieces within a second.

    Whoever sees another's open orders counts on from above them: answers take so long here that neither run has orders
    yet when the other looks.
    """
    Redis.from_url(redis_server.url).flushall()
    fills = {"mode": "partial", "delay_ms": 300, "interval_ms": 300}
    accounts = dict.fromkeys(ACCOUNTS, DEFAULT_SCENARIO["accounts"]["DU1000001"])
    slowly = DEFAULT_SCENARIO.get("gateway", {}) | {"latency_ms": 400}
    with world(tmp_path, ledger, redis_server.url, fills=fills, accounts=accounts, gateway=slowly) as made:
        yield made


def test_equal_order_numbers_of_two_processes_do_not_mix(slow: World) -> None:
    slow.start_worker(WORKER_CONCURRENCY="2")
    runs = [slow.submit(account, Command.REBALANCE) for account in ACCOUNTS]
    reports = [slow.finish(event_id) for event_id in runs]
    orders = slow.gateway.do(
        lambda gateway: [(one.client_id, one.order_id, one.account, one.ticket.order_ref) for one in gateway.orders]
    )
    clients = {account: {client for client, _, owner, _ in orders if owner == account} for account in ACCOUNTS}
    numbers = [{number for _, number, owner, _ in orders if owner == account} for account in ACCOUNTS]
    assert clients[ACCOUNTS[0]].isdisjoint(clients[ACCOUNTS[1]]), "one process ran both accounts after each other"
    assert numbers[0] & numbers[1], "no order number was used by both"
    for account, event_id, report in zip(ACCOUNTS, runs, reports, strict=True):
        own = [ref for _, _, owner, ref in orders if owner == account]
        assert len(own) == report.orders
        assert all(ref.startswith(event_id.hex[:12]) for ref in own)
        left = slow.finish(slow.submit(account, Command.PRINT_REBALANCE)).result
        assert left is not None
        assert left["orders"] == []
