"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_S = 0.05


class Interrupted(Exception):
    """Somebody asked to stop while we waited."""


def never() -> bool:
    """For waits that nothing interrupts."""
    return False


def wait_until(
    condition: Callable[[], bool],
    deadline_s: float,
    *,
    interrupted: Callable[[], bool] = never,
    poll_s: float = POLL_S,
) -> bool:
    """Ask until the condition holds.

    The interruption is asked for rather than signalled: a signal handler that set a :class:`threading.Event` could
    deadlock with the very thread that waits for it.

    Returns:
        False when it did not hold within ``deadline_s``.

    Raises:
        Interrupted: ``interrupted`` said so first.
    """
    until = time.monotonic() + deadline_s
    while not condition():
        if interrupted():
            raise Interrupted
        if time.monotonic() >= until:
            return False
        time.sleep(poll_s)
    return True
