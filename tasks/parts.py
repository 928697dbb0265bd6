"""Work that a process repeats, each part in a thread with its own pace and its own failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog

from rebalancer.domain.errors import RecordUnavailable

log = structlog.get_logger()

GOODBYE_S = 2.0
STAGGER_S = 0.15
"""Between two parts that repeat every second: looks at the ledger that come one after the other share a connection."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something to do again and again.

    Attributes:
        work: does it once; may return a float, the seconds until the next time if they are not ``every_s``.
        after_failure_s: the same after an exception; ``every_s`` if not given.
    """

    name: str
    work: Callable[[], Any]
    every_s: float
    after_failure_s: float | None = None


class Parts:
    """All parts of a process."""

    def __init__(self, *parts: Part) -> None:
        self._ended = threading.Event()
        self._called = {part.name: threading.Event() for part in parts}
        now = time.monotonic()
        self._worked_at = dict.fromkeys((part.name for part in parts), now)
        self._began = {part.name: now + number * STAGGER_S for number, part in enumerate(parts, 1)}
        self._errors: dict[str, str | None] = {}
        self._threads = [
            threading.Thread(target=self._repeat, args=(part,), name=part.name, daemon=True) for part in parts
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what hangs is left behind."""
        self._ended.set()
        for name in self._called:
            self.call(name)
        for thread in self._threads:
            thread.join(GOODBYE_S)

    def call(self, name: str) -> None:
        """Have a part work now, or once more if it is at work: there is something to do."""
        self._called[name].set()

    def report(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Of some parts, by their names, how long ago each worked and why not since."""
        now = time.monotonic()
        return {
            name: {"silent_s": round(now - self._worked_at[name]), "error": self._errors.get(name)} for name in names
        }

    def _repeat(self, part: Part) -> None:
        called, pause_s = self._called[part.name], self._began[part.name] - time.monotonic()
        while True:
            called.wait(pause_s)
            called.clear()
            if self._ended.is_set():
                return
            pause_s = self._once(part)

    def _once(self, part: Part) -> float:
        """Seconds until the next time."""
        try:
            pause_s = part.work()
        except RecordUnavailable as error:
            self._errors[part.name] = str(error).splitlines()[0]
            log.error("ledger_unavailable", part=part.name, error=str(error))
        except Exception as error:  # the edge of a thread: told, and tried again
            self._errors[part.name] = f"{type(error).__name__}: {error}"
            log.exception("part_failed", part=part.name)
        else:
            self._worked_at[part.name], self._errors[part.name] = time.monotonic(), None
            return pause_s if isinstance(pause_s, float) else self._until_its_turn(part)
        return self._until_its_turn(part) if part.after_failure_s is None else part.after_failure_s

    def _until_its_turn(self, part: Part) -> float:
        """Counted from its beginning, so that it stays apart from the others for good."""
        return part.every_s - (time.monotonic() - self._began[part.name]) % part.every_s
