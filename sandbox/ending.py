"""Commands that have begun whole stacks end in order when they are told to, and leave none of them behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from rebalancer.runner.interruptions import INTERRUPTIONS, interruptions_heard_by

SIGNALLED = 128
"""And the number of the signal: exit code of a command that was ended by one."""


@contextmanager
def told_to_stop(console: Console, what: str) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end the block in order, and then the process; a second one is not heard.

    Args:
        what: becomes of what is under way, for whoever told.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for one in INTERRUPTIONS:
            signal.signal(one, signal.SIG_IGN)
        console.print(f"{signal.Signals(number).name}: {what}", soft_wrap=True)
        raise SystemExit(SIGNALLED + number)

    with interruptions_heard_by(stop):
        yield
