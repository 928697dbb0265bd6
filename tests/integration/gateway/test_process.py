"""The gateway as a process, and its control port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.gateway.scenario import load_scenario
from tests.integration.gateway.clients import (
    bare_at,
    connected,
    controlling,
    limit,
    market,
    order_fields,
    run,
    serving,
    stock,
    until,
)
from tests.programs import Heard, heard

COMMAND = ("-c", "from sandbox.cli import app; app()", "gateway", "--port", "0")


def process(*arguments: str) -> AbstractContextManager[Heard]:
    """A gateway in a process of its own."""
    return heard((*COMMAND, *arguments))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_where_it_listens_and_stops_cleanly(number: signal.Signals) -> None:
    with process() as running:
        line = running.stdout.readline()
        assert line.startswith("gateway listening on 127.0.0.1:")
        running.send_signal(number)
        assert running.wait(10) == 0
        assert "Traceback" not in running.communicate()[1]


def test_a_wrong_scenario_ends_the_process_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("marketplace: {}\n")
    with process("--scenario", str(path)) as running:
        assert running.wait(20) == 2
        errors = running.communicate()[1]
        assert f"{path}:1: marketplace is unknown" in errors
        assert "Traceback" not in errors


def test_a_port_in_use_ends_the_process_with_the_reason() -> None:
    with process() as first:
        port = first.stdout.readline().rpartition(":")[2].strip()
        with process("--port", port) as second:
            assert second.wait(20) == 2
            assert "choose another" in second.communicate()[1]


async def ask(base: tuple[str, int], method: str, path: str, body: Any = None) -> httpx.Response:
    async with httpx.AsyncClient(base_url="http://{}:{}".format(*base), trust_env=False) as client:
        content = None if body is None else json.dumps(body)
        return await client.request(method, path, content=content)


def test_the_control_port_shows_accounts_orders_executions_and_clients() -> None:
    async def scenario() -> None:
        async with serving() as gateway, controlling(gateway) as control, connected(gateway, 4) as ib:
            trade = ib.placeOrder(stock("SPY"), market("BUY", 2, "seen"))
            await until(trade.isDone)
            assert control.base_url.host == "127.0.0.1"
            found = (await control.get("/state")).json()
            assert found["client_ids"] == [4]
            assert found["message_counts"]["3"] == 1
            assert found["accounts"]["DU1000001"]["positions"] == {"SPY": "2"}
            assert [(order["order_ref"], order["status"]) for order in found["orders"]] == [("seen", "Filled")]
            assert [execution["order_ref"] for execution in found["executions"]] == ["seen"]
            assert (await control.get("/health")).json() == {"ok": True}

    run(scenario())


def test_the_control_port_moves_prices_and_cuts_connections() -> None:
    async def scenario() -> None:
        async with serving() as gateway, controlling(gateway) as control, connected(gateway) as ib:
            trade = ib.placeOrder(stock("SPY"), limit("BUY", 1, 500.0))
            await until(lambda: trade.orderStatus.status == "Submitted")
            assert (await control.post("/prices", json={"SPY": "499"})).status_code == 200
            await until(trade.isDone)
            await control.post("/disconnect")
            await until(lambda: not ib.isConnected())

    run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("DELETE", "/state", None, 404),
        ("POST", "/prices", {"NOSUCH": 1}, 400),
        ("POST", "/prices", {"SPY": -1}, 400),
        ("POST", "/prices", "text", 400),
    ],
)
def test_the_control_port_refuses_what_it_does_not_know(method: str, path: str, body: Any, status: int) -> None:
    async def scenario() -> None:
        async with serving() as gateway, controlling(gateway) as control:
            reply = await control.request(method, path, json=body)
            assert reply.status_code == status
            assert reply.json()["error"]

    run(scenario())


def test_garbage_at_the_control_port_harms_nobody() -> None:
    async def scenario() -> None:
        async with serving() as gateway, controlling(gateway) as control:
            for garbage in (b"\0\r\n\r\n", b"GET\r\n\r\n", b"POST /prices HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
                reader, writer = await asyncio.open_connection(control.base_url.host, control.base_url.port)
                writer.write(garbage)
                assert b" 400 " in await reader.read()
                writer.close()
            assert (await control.get("/health")).status_code == 200

    run(scenario())


def test_the_control_port_takes_in_a_mebibyte_and_no_more() -> None:
    async def scenario() -> None:
        async with serving() as gateway, controlling(gateway) as control:
            largest = b'{"SPY": "499"}'.ljust(2**20)
            assert (await control.post("/prices", content=largest)).json() == {"set": 1}
            refused = await control.post("/prices", content=largest + b" ")
            assert (refused.status_code, refused.json()) == (400, {"error": "unreadable or excessive content length"})

    run(scenario())


def test_whatever_a_client_has_heard_outlives_a_kill(tmp_path: Path) -> None:
    """The market hardly ever ticks, so that nothing but the telling can have written the books."""
    scenario_file = tmp_path / "slow.yaml"
    slow = load_scenario("default").changed({"quotes": {"interval_ms": 60_000}})
    scenario_file.write_text(slow.model_dump_json(exclude_none=True))
    arguments = ("--scenario", str(scenario_file), "--data", str(tmp_path / "books.json"))

    async def trade_until_killed(running: Heard) -> set[str]:
        heard: set[str] = set()
        async with bare_at(("127.0.0.1", _port(running)), 7) as client:
            for number in range(1, 31):
                client.send(3, number, *order_fields(178, quantity=1, ref=f"order {number}"))
            while len(heard) < 20:
                heard |= _executed([await client.receive()])
            running.kill()
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
                while True:
                    heard |= _executed([await client.receive()])
        return heard

    async def executions(running: Heard) -> set[str]:
        async with bare_at(("127.0.0.1", _port(running)), 7) as client:
            client.send(7, 3, 1, 0, "", "", "", "", "", "")
            return _executed(await client.receive_until(55))

    with process(*arguments) as first:
        heard = asyncio.run(trade_until_killed(first))
    with process(*arguments) as second:
        assert asyncio.run(executions(second)) >= heard


def test_what_the_control_port_has_confirmed_outlives_a_kill(tmp_path: Path) -> None:
    arguments = ("--control-port", "0", "--data", str(tmp_path / "books.json"))

    def account(running: Heard, deposit: str | None) -> Any:
        _port(running)
        base = ("127.0.0.1", _port(running))
        if deposit is not None:
            asyncio.run(ask(base, "POST", "/cash", {"account": "DU1000001", "amounts": {"USD": deposit}}))
        return asyncio.run(ask(base, "GET", "/state")).json()["accounts"]["DU1000001"]["cash"]

    with process(*arguments) as first:
        assert account(first, "0.55") == "250000.55"
        first.kill()
    with process(*arguments) as second:
        assert account(second, None) == "250000.55"


def _port(running: Heard) -> int:
    """From the next line that the process prints."""
    return int(running.stdout.readline().rpartition(":")[2])


def _executed(rows: Iterable[list[str]]) -> set[str]:
    """Execution ids among messages."""
    return {row[14] for row in rows if row[0] == "11"}
