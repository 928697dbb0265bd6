"""Commands that have begun whole stacks end in order when they are told to, and leave none of them behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

TOLD_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNALLED = 128
"""And the number of the signal: exit code of a command that was ended by one."""


@contextmanager
def told_to_stop(console: Console, what: str) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end the block in order, and then the process; a second one is not heard.

    Args:
        what: becomes of what is under way, for whoever told.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for one in TOLD_BY:
            signal.signal(one, signal.SIG_IGN)
        console.print(f"{signal.Signals(number).name}: {what}", soft_wrap=True)
        raise SystemExit(SIGNALLED + number)

    before = {one: signal.signal(one, stop) for one in TOLD_BY}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
