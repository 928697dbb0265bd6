"""Waiting for a condition, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

POLL_S = 0.05


class Interrupted(Exception):
    """Somebody asked to stop while we waited."""


def wait_until(
    condition: Callable[[], bool],
    deadline_s: float,
    *,
    interrupt: threading.Event | None = None,
    poll_s: float = POLL_S,
) -> bool:
    """Ask until the condition holds.

    Returns:
        False when it did not hold within ``deadline_s``.

    Raises:
        Interrupted: ``interrupt`` was set first.
    """
    pause = interrupt or threading.Event()
    until = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() >= until:
            return False
        if pause.wait(poll_s):
            raise Interrupted
    return True
