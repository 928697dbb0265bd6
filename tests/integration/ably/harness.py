"""The unmodified SDK against the stand-in, over sockets, with timers short enough for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Self

import pytest
from ably import AblyException, AblyRealtime, AblyRest
from ably.types.channelstate import ChannelStateChange
from ably.types.connectionstate import ConnectionStateChange
from ably.types.message import Message

from sandbox.ably.options import AblyOptions
from sandbox.ably.server import AblyServer

FAST = AblyOptions(min_idle_interval_ms=50)
DEADLINE_S = 60

SDK_TIMERS: dict[str, Any] = {
    "realtime_request_timeout": 5_000,
    "disconnected_retry_timeout": 50,
    "suspended_retry_timeout": 50,
    "channel_retry_timeout": 50,
}

# For the tests in which the SDK has to give up waiting: for an attach, for traffic, or, while it is connecting, for a
# server that refuses connections.
IMPATIENT: dict[str, Any] = {"realtime_request_timeout": 700}

# The SDK itself calls Logger.warn, deprecated since Python 3.3, when it is told DISCONNECTED without an error.
sdk_uses_logger_warn = pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")

both_formats = pytest.mark.parametrize("binary", [True, False], ids=["msgpack", "json"])


class Ear:
    """What one client hears on one channel; `heard` waits for it."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.messages: list[Message] = []
        self.changes: list[ChannelStateChange] = []
        self._changed = asyncio.Event()
        channel.on(self._on_change)

    @property
    def attachments(self) -> list[ChannelStateChange]:
        """Becoming attached, the first time included."""
        return [change for change in self.changes if change.current == "attached" != change.previous]

    @property
    def updates(self) -> list[ChannelStateChange]:
        """Being attached and told so again."""
        return [change for change in self.changes if change.current == "attached" == change.previous]

    @property
    def data(self) -> list[Any]:
        return [message.data for message in self.messages]

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.messages]

    def on_message(self, message: Message) -> None:
        self.messages.append(message)
        self._changed.set()

    async def heard(self, count: int) -> None:
        await self._until(lambda: len(self.messages) >= count)

    async def attached(self, times: int) -> ChannelStateChange:
        """The n-th time that the channel became attached."""
        await self._until(lambda: len(self.attachments) >= times)
        return self.attachments[times - 1]

    def _on_change(self, change: ChannelStateChange) -> None:
        self.changes.append(change)
        self._changed.set()

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._changed.clear()
            await self._changed.wait()


class Clients:
    """Makes SDK clients and closes them."""

    def __init__(self, server: AblyServer) -> None:
        self._server = server
        self._made: list[AblyRealtime | AblyRest] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._made:
            # A client that a fault has left without a transport cannot say goodbye; the server's stop ends its socket.
            with contextlib.suppress(TimeoutError, AblyException):
                await asyncio.wait_for(client.close(), 1)

    def realtime(self, **options: Any) -> AblyRealtime:
        client = AblyRealtime(**{**self._server.sdk_options(), **SDK_TIMERS, **options})
        self._made.append(client)
        return client

    def rest(self, **options: Any) -> AblyRest:
        client = AblyRest(**{**self._server.sdk_options(), **options})
        self._made.append(client)
        return client

    async def listening(self, channel: str, *, params: dict[str, str] | None = None, **options: Any) -> Ear:
        """A new client, attached to the channel and hearing it."""
        ear = Ear(self.realtime(**options).channels.get(channel, params=params))
        await ear.channel.subscribe(ear.on_message)
        return ear


def connection_of(ear: Ear) -> Any:
    return ear.channel.ably.connection


async def became(connection: Any, state: str) -> ConnectionStateChange | None:
    """Wait for a connection state; None if it is in it already."""
    if connection.state == state:
        return None
    change: ConnectionStateChange = await connection.once_async(state)
    return change


def run(scenario: Callable[[AblyServer, Clients], Awaitable[None]], options: AblyOptions = FAST) -> None:
    """Play a scenario against a server of its own."""

    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S), AblyServer(options) as server, Clients(server) as clients:
            await scenario(server, clients)

    asyncio.run(main())


async def publish(server: AblyServer, channel: str, *texts: str) -> list[str]:
    """Publish one message per text from inside the server; gives their ids."""
    return [server.publish_raw(channel, [{"data": text}]).id + ":0" for text in texts]
