"""A server that the program brings along, prepared: how it is started and asked whether it is ready."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Server:
    """Everything needed to run a server in the foreground, under whatever supervises it.

    Attributes:
        argv: the exact command line.
        user: system user to run it as; None for ourselves.
        url: how SQLAlchemy or redis-py reach it; stays the same from one start to the next while its port is free.
        is_ready: asks the server itself, over its own protocol.
        stop_signal: stops it at once without losing anything.
    """

    name: str
    argv: tuple[str, ...]
    user: str | None
    url: str
    is_ready: Callable[[], bool]
    stop_signal: signal.Signals
