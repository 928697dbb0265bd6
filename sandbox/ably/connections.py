"""Connections that outlive their sockets: who may resume which."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.ably.clock import Clock
from sandbox.ably.errors import AblyError
from sandbox.ably.serials import random_text


@dataclass(slots=True)
class Connection:
    """A client's connection; ``left_at_ms`` is None while a socket serves it, ``resumed`` is about that socket."""

    id: str
    key: str
    left_at_ms: int | None = None
    resumed: bool = False


class Connections:
    """In memory: after a restart of the server no connection can be resumed, though channels can."""

    def __init__(self, clock: Clock, ttl_s: float) -> None:
        self.ttl_ms = round(ttl_s * 1000)
        self._clock = clock
        self._by_key: dict[str, Connection] = {}

    def open(self, resume_key: str | None, *, refuse: bool) -> tuple[Connection, AblyError | None]:
        """The connection to serve, and why it is not the one that was to be resumed."""
        self._forget_expired()
        if resume_key is None:
            return self._new(), None
        connection = self._by_key.get(resume_key)
        if connection is None or refuse:
            malformed = "!" not in resume_key
            return self._new(), AblyError(80018 if malformed else 80008, 400, "unable to recover connection")
        connection.left_at_ms, connection.resumed = None, True
        return connection, None

    def leave(self, connection: Connection) -> None:
        """Its socket is gone; it may come back within the time to live."""
        connection.left_at_ms = self._clock.now_ms()

    def discard(self, connection: Connection) -> None:
        """The client closed it for good."""
        self._by_key.pop(connection.key, None)

    def _new(self) -> Connection:
        connection_id = random_text(10)
        connection = Connection(connection_id, f"{connection_id}!{random_text(16)}")
        self._by_key[connection.key] = connection
        return connection

    def _forget_expired(self) -> None:
        oldest = self._clock.now_ms() - self.ttl_ms
        self._by_key = {
            key: each for key, each in self._by_key.items() if each.left_at_ms is None or each.left_at_ms >= oldest
        }
