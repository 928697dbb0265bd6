"""The stand-in's clock, which tests and demonstrations may move forward."""

from __future__ import annotations

import time


class Clock:
    """Wall-clock milliseconds plus whatever it was advanced by."""

    def __init__(self) -> None:
        self._offset_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._offset_ms

    def advance(self, seconds: float) -> None:
        """Let windows and tokens age without waiting; serials never go back, so neither may the clock."""
        if seconds < 0:
            msg = "the clock only moves forward"
            raise ValueError(msg)
        self._offset_ms += round(seconds * 1000)
