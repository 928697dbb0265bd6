"""Beneath a session: frames out in order, frames in, heartbeats, and TCP resets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from sandbox.ably.wire import Action, Format, Frame, encode

_BEATS_PER_IDLE_INTERVAL = 2.5
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a client wants to be served.

    Attributes:
        heartbeats: as protocol frames; otherwise as websocket pings, which the SDK cannot see.
        echo: whether it hears its own messages.
    """

    format: Format
    heartbeats: bool
    echo: bool
    max_idle_interval_ms: int


class Pump:
    """Moves frames through one websocket; while the server is frozen, what is to be sent waits."""

    def __init__(
        self, socket_: web.WebSocketResponse, transport: asyncio.Transport | None, manner: Manner, thawed: asyncio.Event
    ) -> None:
        self._socket = socket_
        self._transport = transport
        self.manner = manner
        self._thawed = thawed
        self._outgoing: asyncio.Queue[Frame | None] = asyncio.Queue()

    def send(self, frame: Frame) -> None:
        """Frames leave in the order of these calls."""
        self._outgoing.put_nowait(frame)

    def close(self) -> None:
        """Close the websocket once everything queued has left."""
        self._outgoing.put_nowait(None)

    def abort(self) -> None:
        """Reset the TCP connection."""
        if self._transport is not None:
            reset(self._transport)

    async def run(self, receive: Callable[[str | bytes], None]) -> None:
        """Pass every inbound frame to ``receive`` until the socket closes."""
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(self._write()), group.create_task(self._beat())]
            async for message in self._socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    receive(message.data)
            for helper in helpers:
                helper.cancel()

    async def _write(self) -> None:
        try:
            while (frame := await self._outgoing.get()) is not None:
                await self._thawed.wait()
                await self._write_frame(frame)
            await self._socket.close()
        except ConnectionError:
            return  # the client is gone; the reader notices too and ends the session

    async def _write_frame(self, frame: Frame) -> None:
        encoded = encode(frame, self.manner.format)
        if self.manner.format is Format.JSON:
            await self._socket.send_str(encoded.decode())
        else:
            await self._socket.send_bytes(encoded)

    async def _beat(self) -> None:
        pause_s = self.manner.max_idle_interval_ms / 1000 / _BEATS_PER_IDLE_INTERVAL
        try:
            while not self._socket.closed:
                await asyncio.sleep(pause_s)
                await self._thawed.wait()
                if self.manner.heartbeats:
                    self.send({"action": Action.HEARTBEAT})
                else:
                    await self._socket.ping()
        except ConnectionError:
            return  # as in _write


def reset(transport: asyncio.BaseTransport) -> None:
    """End a TCP connection with a reset instead of a farewell."""
    raw = transport.get_extra_info("socket")
    if raw is not None and not transport.is_closing():
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
