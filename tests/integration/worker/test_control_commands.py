"""Celery's control commands, typed or sent by a program: none of them leaves orders that nobody watches."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from rebalancer.commands import Command
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from tests.world import until, world

ACCOUNT = "DU1000001"


@pytest.mark.parametrize(
    "typed", [("terminate", "SIGKILL"), ("terminate", "TERM"), ("time_limit", "rebalance", "1", "1")], ids=" ".join
)
def test_no_command_kills_a_worker_in_the_midst_of_orders(
    tmp_path: Path, ledger: Ledger, redis_server: RunningServer, typed: tuple[str, ...]
) -> None:
    Redis.from_url(redis_server.url).flushall()
    slow = {"mode": "partial", "delay_ms": 1500, "interval_ms": 3000}
    with world(tmp_path, ledger, redis_server.url, fills=slow) as here:
        here.start_worker()
        event_id = here.submit(ACCOUNT, Command.REBALANCE)
        until(lambda: here.gateway.do(lambda gateway: any(one.account == ACCOUNT for one in gateway.orders)))
        told = here.celery("control", *typed, *([f"{event_id}.1"] if typed[0] == "terminate" else []))
        if typed[0] == "terminate":
            assert "event stops at its next step" in told
            until(lambda: here.event(event_id).state == "removed", 60)
        else:
            assert "TASK_SOFT_TIME_LIMIT_S" in told
            here.finish(event_id)
        assert here.gateway.do(lambda gateway: [one for one in gateway.orders if one.open]) == []
        assert here.event(event_id).times_queued == 1
        logs = here.logs()
        assert "WorkerLost" not in logs
        assert "Terminating" not in logs
