"""Ctrl-C, SIGTERM and a closed terminal: how a command that has begun something hears that it is to end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptions_heard_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Within the block they are the handler's; afterwards whose they were before."""
    before = {number: signal.signal(number, handler) for number in INTERRUPTIONS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
