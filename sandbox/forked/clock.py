"""The wall clock of a program, which a trial may set, as when a machine's time is corrected: monotonic clocks, those of
the servers and the gateway's run on as they did.
"""

from __future__ import annotations

import datetime as standard
import mmap
import struct
import sys
import time
from pathlib import Path
from typing import Any

VARIABLE = "TRIAL_CLOCK"
"""Environment: the file that says by how many seconds the clock is ahead."""
OURS = ("rebalancer", "tasks", "listener", "api")
_SECONDS = struct.Struct("d")


def set_clock(file: Path, ahead_s: float) -> None:
    """Put a clock forward, or back; programs that go by it notice at once."""
    file.touch()
    with file.open("r+b") as opened:
        opened.write(_SECONDS.pack(ahead_s))


def go_by(file: Path) -> None:
    """From now on this process, and what it forks, goes by the clock of that file."""
    true_datetime, true_time = standard.datetime, time.time
    with file.open("rb") as opened:
        shared = mmap.mmap(opened.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)

    def ahead_s() -> float:
        seconds: float = _SECONDS.unpack_from(shared)[0]
        return seconds

    class Kind(type):
        """Moments are all of the ordinary kind."""

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, true_datetime)

    class Clock(standard.datetime, metaclass=Kind):
        """It makes moments of the ordinary kind."""

        def __new__(cls, *arguments: Any, **named: Any) -> Any:
            return true_datetime(*arguments, **named)

        @classmethod
        def now(cls, tz: standard.tzinfo | None = None) -> Any:
            return true_datetime.now(tz) + standard.timedelta(seconds=ahead_s())

    time.time = lambda: true_time() + ahead_s()
    places = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in OURS]
    for place in (standard, *places):
        if vars(place).get("datetime") is true_datetime:
            vars(place)["datetime"] = Clock
