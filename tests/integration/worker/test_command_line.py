"""The command line with a real worker behind it: who waits gets the result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from rebalancer.cli.main import app
from rebalancer.domain.commands import Command
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.states import EventState
from sandbox.gateway.behaviour import Incoming
from tests.conftest import ROOT
from tests.integration.ibkr.serving import Script
from tests.world import World, until

REQ_POSITIONS = 74


@pytest.fixture
def typed(working: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Types a command, as where the worker runs."""
    for name, value in working.environment.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_a_dry_run_waits_for_its_plan_and_a_rebalance_for_its_fills(typed: Any, working: World) -> None:
    preview = typed("rebalance", "DU1000001", "--dry-run", "--json")
    assert preview.exit_code == 0, preview.output
    shown = json.loads(preview.stdout)
    assert (shown["state"], shown["result"]["execution_mode"]) == ("succeeded", "dry_run")
    assert working.gateway.do(lambda gateway: len(gateway.orders)) == 0

    done = typed("rebalance", "DU1000001")
    assert done.exit_code == 0, done.output
    assert "Live rebalancing completed successfully" in done.stdout
    assert done.stdout.count("Filled") == 6
    assert "EDC" in typed("positions", "DU1000001").stdout
    fresh = json.loads(typed("value", "DU1000001", "--fresh", "--json").stdout)
    assert fresh["result"]["account_id"] == "DU1000001"
    checks = json.loads(typed("health", "--json").stdout)["checks"]
    assert {check["name"]: check["ok"] for check in checks}["worker"]


def test_a_failed_attempt_is_told_with_exit_code_1(typed: Any, working: World) -> None:
    working.allocations.set_raw("etf-blend-301-20", status=503, body="maintenance")
    failed = typed("rebalance", "DU1000002", "--dry-run")
    httpx.delete(f"{working.allocations.url}/etf-blend-301-20/raw", headers={"x-api-key": "sandbox"}).raise_for_status()
    assert failed.exit_code == 1
    assert "HTTP 503: maintenance" in failed.stdout


def running(world: World) -> list[str]:
    with world.ledger.begin() as session:
        return [one.exec_command for one in event_search.find_events(session, (EventState.RUNNING,), 10)]


def asks_and_waits(world: World, account: str) -> subprocess.Popen[str]:
    program = (sys.executable, "-c", "from rebalancer.cli import main; main()")
    return subprocess.Popen(
        [*program, "submit", account, Command.PRINT_POSITIONS, "--wait", "60"],
        cwd=ROOT,
        env=os.environ | world.environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_told(waiting: subprocess.Popen[str]) -> None:
    _, told = waiting.communicate(timeout=20)
    assert waiting.returncode == 130, told
    assert "The event goes on: `rebalancer event" in told


def test_ctrl_c_only_stops_the_waiting(working: World, shared_script: Script) -> None:
    shared_script.requests[REQ_POSITIONS] = Incoming.IGNORE
    try:
        waiting = asks_and_waits(working, "DU1000003")
        until(lambda: running(working) == [Command.PRINT_POSITIONS])
        waiting.send_signal(signal.SIGINT)
        is_told(waiting)
    finally:
        shared_script.requests.clear()


def test_ctrl_c_while_the_request_is_put_on_record_is_told_the_same(working: World) -> None:
    with working.ledger.begin() as session:
        session.execute(text("LOCK TABLE events IN EXCLUSIVE MODE"))
        waiting = asks_and_waits(working, "DU1000004")
        until(lambda: is_locked_out(working))
        waiting.send_signal(signal.SIGINT)
    is_told(waiting)


def is_locked_out(world: World) -> bool:
    """Whether somebody's new event waits for the lock."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO events%'"
    with world.ledger.begin() as session:
        return bool(session.scalar(text(waits)))
