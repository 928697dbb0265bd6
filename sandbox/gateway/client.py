"""What the handlers of one client's requests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.gateway import messages
from sandbox.gateway.exchange import Exchange
from sandbox.gateway.wire import Message

Handlers = dict[type[Any], Callable[[Any], object]]
"""What to do with each type of request."""


@dataclass(frozen=True, slots=True)
class Client:
    """One API client after startApi.

    Attributes:
        send: puts a message on its way to the client.
    """

    client_id: int
    version: int
    exchange: Exchange
    send: Callable[[Message], None]

    def error(self, request_id: int, code: int, text: str) -> None:
        """Send an error or a warning; ``-1``: of no request."""
        self.send(messages.error(self.version, request_id, code, text))
