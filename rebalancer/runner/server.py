"""A server that the program brings along, prepared: how it is started and asked whether it is ready."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from rebalancer.runner.failure import StartFailed
from rebalancer.runner.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Server:
    """A prepared server: everything needed to run it in the foreground, under whatever supervises it.

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

    def wait_ready(self, deadline_s: float, interrupt: threading.Event | None = None) -> None:
        """Raises:
        StartFailed: not ready in time.
        Interrupted: ``interrupt`` was set.
        """
        if not wait_until(self.is_ready, deadline_s, interrupt=interrupt):
            raise StartFailed(self.name, f"not ready after {deadline_s:g} s", None, "see its log")
