"""The ways in which the SDK goes deaf or loses messages, each provoked on purpose.

They are the reasons for what the listener does: should one of these fail after an upgrade of the SDK, a defence may
have become unnecessary.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ably import AblyException

from sandbox.ably.server import AblyServer
from tests.integration.ably.harness import (
    IMPATIENT,
    Clients,
    Ear,
    became,
    connection_of,
    publish,
    run,
    sdk_uses_logger_warn,
)

QUICK: dict[str, Any] = {**IMPATIENT, "transport_params": {"heartbeats": "true", "heartbeatInterval": "300"}}


async def ping_fails(ear: Ear) -> bool:
    """A zombie's ping does not even fail with the SDK's own error."""
    try:
        await asyncio.wait_for(connection_of(ear).ping(), 1)
    except Exception:  # noqa: BLE001 - that it can be anything is the point
        return True
    return False


@sdk_uses_logger_warn
@pytest.mark.parametrize("status", [None, 500, 503])
def test_a_disconnected_without_error_or_with_a_5xx_leaves_a_zombie(status: int | None) -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        server.zombie(status)
        await server.log.wait_for("gone")
        await publish(server, "strategy", "unheard")
        assert connection_of(ear).state == "connected"
        assert ear.channel.state == "attached"
        assert await ping_fails(ear)
        connection_of(ear).connect()
        assert connection_of(ear).state == "connected", "connect() does nothing in this state"
        assert (ear.data, server.log.count("connected")) == ([], 1)

    run(scenario)


def test_a_fatal_error_ends_in_failed_while_channels_say_attached() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        server.fatal()
        await became(connection_of(ear), "failed")
        assert connection_of(ear).error_reason.code == 80000
        assert ear.channel.state == "attached"
        connection_of(ear).connect()
        await became(connection_of(ear), "connected")
        assert ear.channel.state == "initialized", "and nobody attaches it again"

    run(scenario)


def test_a_swallowed_attach_suspends_the_channel_and_forgets_its_position() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", **IMPATIENT)
        server.swallow_attach("strategy")
        server.drop()
        await publish(server, "strategy", "lost")
        change = await ear.attached(2)
        assert not change.resumed
        assert "suspended" in [each.current for each in ear.changes]
        assert [entry["serial"] is None for entry in server.log.of("attach")] == [True, False, True]

    run(scenario)


def test_a_swallowed_first_attach_raises_from_subscribe() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        server.swallow_attach()
        with pytest.raises(AblyException, match="90007"):
            await clients.listening("strategy", **IMPATIENT)

    run(scenario)


def test_a_black_hole_is_noticed_by_missing_heartbeats_and_nothing_is_lost() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", **QUICK)
        # The SDK notices after 1.1 s, but first waits for its websocket to close: 10 s more in a lasting black hole.
        server.freeze(1.5)
        missed = await publish(server, "strategy", "missed")
        change = await became(connection_of(ear), "disconnected")
        assert change is not None
        assert change.reason.code == 80003
        await ear.heard(1)
        assert ear.ids == missed
        assert (await ear.attached(2)).resumed

    run(scenario)


def test_a_short_freeze_only_delays() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        server.freeze(0.1)
        rest = asyncio.create_task(clients.rest().time())
        ids = await publish(server, "strategy", "a", "b")
        await server.log.wait_for("deliver", 2)
        assert not rest.done()
        await rest
        await ear.heard(2)
        assert ear.ids == ids
        assert server.log.count("connected") == 1

    run(scenario)


def test_heartbeats_keep_an_idle_connection() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", **QUICK)
        await asyncio.sleep(1.5)  # longer than the silence that ends a connection; there is no event to wait for
        assert connection_of(ear).state == "connected"
        assert server.log.count("connected") == 1

    run(scenario)


def test_websocket_pings_alone_are_invisible_to_the_sdk() -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        params = {"heartbeats": "false", "heartbeatInterval": "300"}
        ear = await clients.listening("strategy", transport_params=params, **IMPATIENT)
        change = await became(connection_of(ear), "disconnected")
        assert change is not None
        assert change.reason.code == 80003

    run(scenario)


def test_a_message_named_error_takes_the_rest_of_its_batch_with_it() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        server.publish_raw("strategy", [{"name": "error", "data": "lost"}, {"data": "lost too"}])
        await publish(server, "strategy", "heard")
        await ear.heard(1)
        server.drop()
        assert (await ear.attached(2)).resumed, "and the SDK believes that all is well"
        assert ear.data == ["heard"]

    run(scenario)


def test_a_listener_for_the_name_error_rescues_such_a_batch() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")

        def ignore(_: object) -> None:
            """The catch-all listener hears it already."""

        await ear.channel.subscribe("error", ignore)
        server.publish_raw("strategy", [{"name": "error", "data": "a"}, {"data": "b"}])
        await ear.heard(2)
        assert ear.data == ["a", "b"]

    run(scenario)


def test_a_poisoned_message_takes_its_batch_with_it() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        server.publish_raw("strategy", [{"data": "good"}, {"data": "{broken", "encoding": "json"}])
        await publish(server, "strategy", "heard")
        await ear.heard(1)
        assert ear.data == ["heard"]

    run(scenario)


def test_large_and_binary_payloads_arrive() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ears = [await clients.listening("strategy", use_binary_protocol=binary) for binary in (True, False)]
        server.publish_raw("strategy", [{"data": "x" * 70_000}, {"data": bytes(range(256))}])
        for ear in ears:
            await ear.heard(2)
            assert ear.data == ["x" * 70_000, bytearray(range(256))]

    run(scenario)


def test_a_server_that_is_down_for_a_while_is_found_again() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", **IMPATIENT)
        await server.go_down(0.2)
        missed = await publish(server, "strategy", "missed")
        await ear.heard(1)
        assert ear.ids == missed
        assert (await ear.attached(2)).resumed

    run(scenario)


def test_an_error_on_upgrade_is_retried() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        server.http_status(503, times=2, surface="upgrade")
        server.drop()
        assert (await ear.attached(2)).resumed

    run(scenario)


def test_any_frame_can_be_sent() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        connection = server.sessions[0].connection.id
        server.send_frame({"action": 13, "channel": "strategy"}, connection)
        assert not (await ear.attached(1)).resumed
        assert (await ear.attached(2)).previous == "attaching"

    run(scenario)


def test_one_client_of_two_can_be_struck() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        struck, spared = [await clients.listening("strategy") for _ in range(2)]
        server.drop(server.sessions[0].connection.id)
        assert (await struck.attached(2)).resumed
        assert len(spared.attachments) == 1

    run(scenario)
