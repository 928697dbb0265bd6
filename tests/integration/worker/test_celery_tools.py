"""What the Celery world expects: inspect, revoke, Flower; and one connection per worker process."""

from __future__ import annotations

import socket

import httpx

from rebalancer.domain.commands import Command
from sandbox.gateway.behaviour import Incoming
from tests.integration.ibkr.serving import Script
from tests.world import World, until

REQ_POSITIONS = 74


def connected(here: World) -> list[int | None]:
    """Client ids of the connections that the gateway accepted and nobody has closed."""
    records = here.gateway.do(lambda gateway: list(gateway.connections))
    return sorted(one.client_id or 0 for one in records if one.refused is None and one.closed_at is None)


def test_each_worker_process_has_one_connection_and_its_own_client_id(here: World) -> None:
    here.start_worker(WORKER_CONCURRENCY="4")
    until(lambda: connected(here) == [100, 101, 102, 103])
    for event_id in [here.submit(f"DU100000{number}", Command.PRINT_EQUITY) for number in range(1, 8)]:
        here.finish(event_id)
    assert connected(here) == [100, 101, 102, 103]


def test_inspect_shows_the_tasks_and_what_runs(here: World, script: Script) -> None:
    script.requests[REQ_POSITIONS] = Incoming.IGNORE
    here.start_worker(IB_REQUEST_TIMEOUT_S="20")
    registered = here.celery("inspect", "registered")
    assert all(command in registered for command in Command)
    event_id = here.submit("DU1000001", Command.PRINT_POSITIONS)
    until(lambda: here.event(event_id).state == "running")
    active = here.celery("inspect", "active")
    assert f"(DU1000001, etf-blend-301-20, event {event_id})" in active
    assert "print-positions" in active


def test_revoke_ends_a_retrying_event_for_good(here: World) -> None:
    httpx.put(
        f"{here.allocations.url}/etf-blend-301-20/raw",
        json={"status": 503, "body": "closed"},
        headers={"x-api-key": "sandbox"},
    ).raise_for_status()
    here.start_worker()
    event_id = here.submit("DU1000001", Command.PRINT_REBALANCE)
    until(lambda: here.event(event_id).state == "retrying")
    assert "removed" in here.celery("control", "revoke", str(event_id))
    assert here.event(event_id).state == "removed"


def test_flower_lists_the_tasks_readably_and_finds_those_of_an_account(here: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    here.start(
        "celery", "-A", "tasks", "flower", "--address=127.0.0.1", f"--port={port}", FLOWER_UNAUTHENTICATED_API="1"
    )
    base = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{base}/healthcheck").is_success
        except httpx.TransportError:
            return False

    until(answers)
    here.start_worker()
    accounts = ("DU1000001", "DU1000002")
    ids = {account: here.submit(account, Command.PRINT_EQUITY) for account in accounts}
    for event_id in ids.values():
        here.finish(event_id)

    def listed(search: str = "") -> dict[str, dict[str, str]]:
        tasks: dict[str, dict[str, str]] = httpx.get(f"{base}/api/tasks", params={"search": search}).json()
        return tasks

    until(lambda: [task["state"] for task in listed().values()] == ["SUCCESS"] * 2)
    for search in ("DU1000001", "args:DU1000001", "kwargs:account_id=DU1000001", "DU1000001 name:print state:SUCCESS"):
        ((task_id, task),) = listed(search).items()
        assert task_id == f"{ids['DU1000001']}.1", search
        assert task["name"] == "print-equity"
        assert "DU1000001" in task["args"]
    assert listed("kwargs:account_id=DU100000") == {}
    assert len(listed("kwargs:strategy=etf-blend-301-20")) == 2
