"""The stand-in as a process of its own, and its control server."""

from __future__ import annotations

import asyncio
import base64
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from ably import AblyRest

from sandbox.ably.control_port import KNOBS, control_port
from sandbox.ably.options import DEFAULT_KEY
from sandbox.ably.server import AblyServer
from tests.integration.ably.harness import DEADLINE_S, FAST, Clients, publish, run

COMMAND = (sys.executable, "-c", "from rebalancer.cli import main; main()", "sandbox", "ably")


@asynccontextmanager
async def controlling(server: AblyServer) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        control_port(server) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}") as client,
    ):
        yield client


def test_the_log_tells_what_happened() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        await clients.listening("strategy")
        ids = await publish(server, "strategy", "a")
        async with controlling(server) as control:
            report = (await control.get("/control/log")).json()
            later = (await control.get("/control/log", params={"since": report["events"][-1]["number"]})).json()
        assert [each["attached"] for each in report["connections"]] == [["strategy"]]
        counted = {kind: report["counters"][kind] for kind in ("connected", "attached", "publish", "deliver")}
        assert counted == {"connected": 1, "attached": 1, "publish": 1, "deliver": 1}
        assert [each["fields"]["ids"] for each in report["events"] if each["kind"] == "deliver"] == [ids]
        assert later["events"] == []

    run(scenario)


BODIES: dict[str, dict[str, Any]] = {
    "advance_clock": {"seconds": 1},
    "discontinuity": {"channel": "strategy"},
    "duplicate": {"channel": "strategy"},
    "freeze": {"seconds": 0.01},
    "http_status": {"status": 500},
    "send_frame": {"frame": {"action": 0}},
    "set_capability": {"capability": {"*": ["subscribe"]}},
}


@pytest.mark.parametrize("knob", sorted(KNOBS))
def test_every_knob_can_be_turned_over_http(knob: str) -> None:
    async def scenario(server: AblyServer, _: Clients) -> None:
        await publish(server, "strategy", "a")
        async with controlling(server) as control:
            answer = await control.post(f"/control/{knob}", json=BODIES.get(knob, {}))
        assert (answer.status_code, answer.json()) == (200, {"status": "done"})

    run(scenario)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/control/gap", {"publishes": -1}, 422),
        ("/control/gap", {"unknown": 1}, 422),
        ("/control/drop", {"connection": "nobody"}, 404),
        ("/control/duplicate", {"channel": "empty"}, 404),
        ("/control/publish", {"channel": "c", "items": [{"data_base64": "!"}]}, 400),
        ("/control/unknown", {}, 404),
    ],
)
def test_bad_requests_are_refused(path: str, body: dict[str, Any], status: int) -> None:
    async def scenario(server: AblyServer, _: Clients) -> None:
        async with controlling(server) as control:
            answer = await control.post(path, json=body)
            assert (answer.status_code, answer.json()["status"]) == (status, "error")
            assert (await control.post(path, content=b"{}")).status_code == 415

    run(scenario)


def test_poison_published_over_http_arrives_as_it_is() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        items = [
            {"id": "own", "data": "x" * 70_000, "name": "signal"},
            {"data_base64": base64.b64encode(b"\x00\xff").decode()},
        ]
        async with controlling(server) as control:
            for item in items:
                await control.post("/control/publish", json={"channel": "strategy", "items": [item]})
        await ear.heard(2)
        assert ear.data == ["x" * 70_000, bytearray(b"\x00\xff")]
        assert ear.ids[0] == "own"

    run(scenario)


def test_the_public_port_knows_no_control() -> None:
    async def scenario(server: AblyServer, _: Clients) -> None:
        async with controlling(server), httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/control/log")).status_code == 404
            assert (await client.post("/control/drop", json={})).status_code == 404

    run(scenario)


def test_the_control_port_is_on_the_loopback_address_only() -> None:
    async def scenario(server: AblyServer, _: Clients) -> None:
        async with controlling(server) as control:
            assert control.base_url.host == "127.0.0.1"

    run(scenario, replace(FAST, host="0.0.0.0"))


@dataclass(frozen=True, slots=True)
class Process:
    """A stand-in started from the command line."""

    handle: asyncio.subprocess.Process
    address: str

    async def stop(self, number: signal.Signals) -> int | None:
        self.handle.send_signal(number)
        await self.handle.communicate()
        return self.handle.returncode

    def rest(self) -> AblyRest:
        return AblyRest(DEFAULT_KEY, endpoint=f"{self.address}/", tls=False, use_token_auth=True)


@asynccontextmanager
async def spawned(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that does not outlive its test."""
    handle = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=PIPE, stderr=PIPE)
    try:
        yield handle
    finally:
        if handle.returncode is None:
            handle.kill()
            await handle.communicate()


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Process]:
    async with spawned("--control-port", "0", *arguments) as handle:
        assert handle.stdout is not None
        public = (await handle.stdout.readline()).decode().strip()
        control = (await handle.stdout.readline()).decode().strip()
        assert public.startswith("ably listening on http://")
        assert control.startswith("control listening on http://127.0.0.1:")
        yield Process(handle, public.removeprefix("ably listening on http://"))


def test_a_killed_process_comes_back_with_its_messages(tmp_path: Path) -> None:
    data = str(tmp_path / "new" / "ably.sqlite")

    async def main() -> None:
        async with started("--port", "0", "--data", data) as first, first.rest() as rest:
            await rest.channels.get("strategy").publish("name", "before")
            await first.stop(signal.SIGKILL)
        async with started("--port", first.address.rpartition(":")[2], "--data", data) as second, second.rest() as rest:
            await rest.channels.get("strategy").publish("name", "after")
            items = (await rest.channels.get("strategy").history()).items
            assert [message.data for message in items] == ["after", "before"]
            assert items[0].serial > items[1].serial
            assert await second.stop(signal.SIGTERM) == 0

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))


def test_an_address_in_use_ends_the_program_with_a_sentence() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            async with spawned("--port", str(taken.getsockname()[1])) as handle:
                _, errors = await handle.communicate()
        assert handle.returncode == 2
        assert errors.startswith(b"cannot listen on 127.0.0.1:")

    asyncio.run(asyncio.wait_for(main(), DEADLINE_S))
