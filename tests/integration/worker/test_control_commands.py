"""Celery's control commands, typed or sent by a program: none of them leaves orders that nobody watches."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis

from rebalancer.domain.commands import Command
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from tests.conftest import ROOT
from tests.world import World, until, world

ACCOUNT = "DU1000002"
"""Sells first: after its first orders there is a next step."""


@pytest.mark.parametrize(
    "typed", [("terminate", "SIGKILL"), ("terminate", "TERM"), ("time_limit", "rebalance", "1", "1")], ids=" ".join
)
def test_no_command_kills_a_worker_in_the_midst_of_orders(
    tmp_path: Path, ledger: Ledger, redis_server: RunningServer, typed: tuple[str, ...]
) -> None:
    with amid_orders(tmp_path, ledger, redis_server) as (here, event_id):
        told = here.celery("control", *typed, *([f"{event_id}.1"] if typed[0] == "terminate" else []))
        if typed[0] == "terminate":
            assert "event stops at its next step" in told
            until(lambda: here.event(event_id).state == "removed", 60)
        else:
            assert "TASK_SOFT_TIME_LIMIT_S" in told
            here.finish(event_id)
        assert here.event(event_id).times_queued == 1
        nothing_was_killed(here)


PROGRAMS = (
    "app.control.revoke({0!r}, terminate=True, signal='SIGKILL')",
    "app.control.terminate({0!r}, signal='SIGKILL')",
    "app.control.broadcast('revoke', {{'task_id': [{0!r}], 'terminate': True, 'signal': 'SIGKILL'}})",
    "app.control.broadcast('terminate', {{'task_id': [{0!r}], 'signal': 'SIGKILL'}})",
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_kills_one_either(tmp_path: Path, ledger: Ledger, redis_server: RunningServer, program: str) -> None:
    with amid_orders(tmp_path, ledger, redis_server) as (here, event_id):
        code = f"from tasks.app import app; {program.format(f'{event_id}.1')}"
        environment = os.environ | here.environment
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=60)
        until(lambda: here.event(event_id).state == "removed", 60)
        nothing_was_killed(here)


@contextmanager
def amid_orders(folder: Path, ledger: Ledger, redis_server: RunningServer) -> Iterator[tuple[World, UUID]]:
    """A run whose first orders work."""
    Redis.from_url(redis_server.url).flushall()
    slow = {"mode": "partial", "delay_ms": 1500, "interval_ms": 3000}
    with world(folder, ledger, redis_server.url, fills=slow) as here:
        here.start_worker()
        event_id = here.submit(ACCOUNT, Command.REBALANCE)
        until(lambda: here.gateway.do(lambda gateway: any(one.account == ACCOUNT for one in gateway.orders)))
        yield here, event_id


def nothing_was_killed(here: World) -> None:
    """Every order was followed to its end, by the one attempt."""
    assert here.gateway.do(lambda gateway: [one for one in gateway.orders if one.open]) == []
    logs = here.logs()
    assert "WorkerLost" not in logs
    assert "Terminating" not in logs
