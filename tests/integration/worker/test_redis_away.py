"""Redis is away while orders work: they are watched to their end, by the same attempt, on the same connection."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from rebalancer.commands import Command
from rebalancer.ibkr.turn import client_id_of
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from sandbox.gateway.server import Gateway
from tests.world import until, world

FROZEN_S = float(os.environ.get("REDIS_FROZEN_S", "35"))
ACCOUNT = "DU1000001"


@contextmanager
def frozen(server: RunningServer) -> Iterator[None]:
    """It answers nobody, and closes nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_a_frozen_redis_ends_no_run_and_no_connection(
    tmp_path: Path, ledger: Ledger, redis_server: RunningServer
) -> None:
    Redis.from_url(redis_server.url).flushall()
    interval = int(FROZEN_S * 1000 / 3)
    slow = {"mode": "partial", "delay_ms": 1000, "interval_ms": interval}
    with world(tmp_path, ledger, redis_server.url, fills=slow) as here:
        here.start_worker(ORDER_TIMEOUT_S="300", RECONNECT_TIMEOUT_S="10")
        event_id = here.submit(ACCOUNT, Command.REBALANCE)

        def open_orders(gateway: Gateway) -> int:
            return sum(order.open for order in gateway.orders if order.account == ACCOUNT)

        until(lambda: here.gateway.do(open_orders) > 0)
        with frozen(redis_server):
            end = time.monotonic() + FROZEN_S
            unwatched = []
            while time.monotonic() < end:
                state, connected = here.event(event_id).state, here.gateway.do(lambda gateway: bool(gateway._clients))
                if here.gateway.do(open_orders) and (state != "running" or not connected):
                    unwatched.append((state, connected))
                time.sleep(0.2)
        assert unwatched == []
        here.finish(event_id, 120)
        assert here.event(event_id).times_queued == 1
        assert here.gateway.do(open_orders) == 0
        seen = here.gateway.do(lambda gateway: gateway.client_ids)
        assert seen == [100, client_id_of(ACCOUNT)], "one connection, and the turn to trade"


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
