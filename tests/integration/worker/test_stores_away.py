"""Redis or PostgreSQL is away while orders work: they are watched to their end, by the same attempt, on the same
connection. Told from the gateway's books.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import select

from rebalancer.domain.commands import Command
from rebalancer.ibkr.turn import client_id_of
from rebalancer.ledger.models import FillRow
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from sandbox.gateway.server import Gateway
from tests.world import World, until, world

FROZEN_S = float(os.environ.get("REDIS_FROZEN_S", "35"))
AWAY_S = 3.0
ACCOUNT = "DU1000001"


@contextmanager
def frozen(server: RunningServer) -> Iterator[None]:
    """It answers nobody, and closes nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def stopped(server: RunningServer) -> Iterator[None]:
    """It refuses every connection, and has ended all that there were."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def amid_orders(folder: Path, ledger: Ledger, redis_url: str, lasting_s: float) -> Iterator[tuple[World, UUID]]:
    """A run whose orders fill in three pieces, over that long at least, and the first of them works."""
    Redis.from_url(redis_url).flushall()
    slow = {"mode": "partial", "delay_ms": 1000, "interval_ms": int(lasting_s * 1000 / 2)}
    with world(folder, ledger, redis_url, fills=slow) as here:
        here.start_worker(ORDER_TIMEOUT_S="300", RECONNECT_TIMEOUT_S="10", LEASE_S="30")
        event_id = here.submit(ACCOUNT, Command.REBALANCE)
        until(lambda: here.gateway.do(open_orders) > 0)
        yield here, event_id


def open_orders(gateway: Gateway) -> int:
    return sum(order.open for order in gateway.orders if order.account == ACCOUNT)


def unwatched(here: World, seconds: float) -> int:
    """How often within that time an order was open and nobody connected."""
    end, times = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        times += here.gateway.do(lambda gateway: open_orders(gateway) > 0 and not gateway._clients)
        time.sleep(0.2)
    return times


def prove(here: World, event_id: UUID) -> None:
    """One attempt, over one connection, has seen every order to its end and put every fill on record."""
    assert here.finish(event_id, 120).attempt == 1
    assert here.event(event_id).times_queued == 1
    assert here.gateway.do(open_orders) == 0
    seen = here.gateway.do(lambda gateway: gateway.client_ids)
    assert seen == [100, client_id_of(ACCOUNT)], "one connection, and the turn to trade"
    with here.ledger.begin() as session:
        rows = session.execute(select(FillRow.order_ref, FillRow.quantity, FillRow.price))
        recorded = sorted(tuple(row) for row in rows)
    assert recorded == here.gateway.do(executions)


def executions(gateway: Gateway) -> list[tuple[str, Decimal, Decimal]]:
    return sorted((one.order.ticket.order_ref, one.quantity, one.price) for one in gateway.executions)


@pytest.mark.timeout(300)
def test_a_frozen_redis_ends_no_run_and_no_connection(
    tmp_path: Path, ledger: Ledger, redis_server: RunningServer
) -> None:
    with amid_orders(tmp_path, ledger, redis_server.url, FROZEN_S) as (here, event_id):
        with frozen(redis_server):
            assert unwatched(here, FROZEN_S) == 0
            assert here.event(event_id).state == "running"
        prove(here, event_id)


def test_a_restart_of_postgresql_ends_no_run_and_no_connection(
    tmp_path: Path, ledger: Ledger, redis_server: RunningServer, postgres: RunningServer
) -> None:
    """Case: four orders worked unwatched for up to two minutes, since the first report could not be recorded."""
    with amid_orders(tmp_path, ledger, redis_server.url, 5 * AWAY_S) as (here, event_id):
        here.start_beat()
        with stopped(postgres):
            assert unwatched(here, AWAY_S) == 0
            assert here.gateway.do(open_orders) > 0, "it was back before it mattered"
        prove(here, event_id)


def test_connections_to_redis_that_are_cut_again_and_again_cost_no_run_and_deafen_no_worker(
    tmp_path: Path, ledger: Ledger, redis_server: RunningServer
) -> None:
    Redis.from_url(redis_server.url).flushall()
    slow = {"mode": "partial", "delay_ms": 300, "interval_ms": 300}
    with world(tmp_path, ledger, redis_server.url, fills=slow) as here, Redis.from_url(redis_server.url) as redis:
        here.start_worker()
        here.start_beat()
        event_id = here.submit(ACCOUNT, Command.REBALANCE)
        until(lambda: here.event(event_id).state == "running")
        for _ in range(18):
            for kind in ("normal", "pubsub"):
                redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            time.sleep(0.05)
        here.finish(event_id, 120)
        orders = here.gateway.do(lambda gateway: [order.ticket.order_ref for order in gateway.orders])
        assert len(orders) == len(set(orders))
        for _ in range(2):
            here.finish(here.submit(ACCOUNT, Command.PRINT_EQUITY), 30)
