"""What a person finds in the logs: one grep for an account, one for an event, and nothing secret."""

from __future__ import annotations

import json
from typing import Any

from rebalancer.domain.commands import Command
from sandbox.gateway.behaviour import Incoming
from sandbox.gateway.checks import Refusal
from tests.integration.ibkr.serving import Script
from tests.world import KEY, World, until

CONTEXT = ("account_id", "strategy", "event_id", "command", "attempt")
REQ_POSITIONS = 74


def grep(world: World, text: str) -> list[dict[str, Any]]:
    """Lines that hold a text, in the order in which they were written; Celery's own remarks for debugging left out."""
    found = [json.loads(line) for line in world.logs().splitlines() if text in line]
    return [line for line in found if line["level"] != "debug" or line["event"] == "broker_code"]


def test_one_grep_shows_everything_about_an_account(here: World, script: Script) -> None:
    script.remarks = [Refusal(399, "Order Message: your order will not be placed at the exchange until later")]
    here.start_worker(LOG_LEVEL="DEBUG")
    other = here.submit("DU1000002", Command.PRINT_EQUITY)
    here.finish(other)  # its run opened the connection; what the broker says later must not be put on it
    event_id = here.submit("DU1000001", Command.REBALANCE)
    here.finish(event_id)
    until(lambda: any("succeeded" in line["event"] for line in grep(here, str(event_id))))

    lines = grep(here, "DU1000001")
    names = [line["event"] for line in lines]
    assert f"Task rebalance[{event_id}.1] received" in names
    mine = lines[names.index("run_started") :]
    assert [line["event"] for line in mine][:1] == ["run_started"]
    assert "run_ended" in names
    assert "succeeded" in names[-1]
    codes = [line for line in mine if line["event"] == "broker_code"]
    assert {line["code"] for line in codes} >= {399}
    expected = ["DU1000001", "etf-blend-301-20", str(event_id), "rebalance", 1]
    assert [[line.get(name) for name in CONTEXT] for line in mine] == [expected] * len(mine)
    assert {line["account_id"] for line in grep(here, str(other))} == {"DU1000002"}


def test_lines_between_runs_belong_to_none(here: World, script: Script) -> None:
    here.start_worker()
    until(lambda: "broker_connected" in here.logs())
    script.requests[REQ_POSITIONS] = Incoming.RESET_BEFORE
    event_id = here.submit("DU1000003", Command.PRINT_POSITIONS)
    until(lambda: bool(grep(here, "run_failed")))
    dropped = grep(here, "broker_connection_dropped")
    assert {line["event_id"] for line in dropped} == {str(event_id)}
    failed = grep(here, "run_failed")
    assert [failed[0].get(name) for name in CONTEXT] == [
        "DU1000003",
        "etf-blend-301-20",
        str(event_id),
        "print-positions",
        1,
    ]
    connected = grep(here, "broker_connected")
    assert "event_id" not in connected[0]
    assert KEY not in here.logs()
