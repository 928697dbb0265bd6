"""The way of messages to one client: behaviour, latency, batching."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from sandbox.gateway.behaviour import Behaviour
from sandbox.gateway.wire import Message, encode

_MAX_UNREAD = 64 * 1024 * 1024


class Outbox:
    """Writes messages in order, each no earlier than its latency allows.

    Args:
        latency_s: time that every message takes.
        before_telling: called before anything is written.
    """

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        behaviour: Behaviour,
        latency_s: float,
        before_telling: Callable[[], None],
    ) -> None:
        self.client_id = -1
        self._before_telling = before_telling
        self._writer = writer
        self._behaviour = behaviour
        self._latency_s = latency_s
        self._loop = asyncio.get_running_loop()
        self._due: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.Handle | None = None

    def send(self, message: Message) -> None:
        """Put a message on its way."""
        for delivery in self._behaviour.outgoing(self.client_id, message):
            data = encode(delivery.message)
            if delivery.delay_s:
                self._loop.call_later(delivery.delay_s, partial(self._queue, data))
            else:
                self._queue(data)

    def flush(self) -> None:
        """Write everything now, due or not: the connection is about to close."""
        self._write(b"".join(data for _, data in self._due))
        self._due.clear()

    def _queue(self, data: bytes) -> None:
        self._due.append((self._loop.time() + self._latency_s, data))
        if self._timer is None:
            self._arm()

    def _arm(self) -> None:
        """A batch per turn of the loop, as the real gateway coalesces frames."""
        if self._latency_s:
            self._timer = self._loop.call_at(self._due[0][0], self._write_due)
        else:
            self._timer = self._loop.call_soon(self._write_due)

    def _write_due(self) -> None:
        self._timer = None
        now, batch = self._loop.time() + 0.0005, bytearray()
        while self._due and self._due[0][0] <= now:
            batch += self._due.popleft()[1]
        self._write(bytes(batch))
        if self._due:
            self._arm()

    def _write(self, data: bytes) -> None:
        if not data or self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > _MAX_UNREAD:
            self._writer.transport.abort()  # the client has stopped reading
            return
        self._before_telling()
        for piece in self._behaviour.frames(data):
            self._writer.write(piece)
