"""What happened, for tests to assert and wait on."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.ably.clock import Clock

_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that happened; ``number`` counts from 1 over the life of the process."""

    number: int
    at_ms: int
    kind: str
    fields: Mapping[str, Any]


class EventLog:
    """Counts everything; keeps the newest thousand entries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._entries: deque[LogEntry] = deque(maxlen=_KEPT)
        self._changed = asyncio.Event()

    def record(self, kind: str, **fields: Any) -> None:
        self._counts[kind] += 1
        self._entries.append(LogEntry(self._counts.total(), self._clock.now_ms(), kind, fields))
        self._changed.set()

    def count(self, kind: str) -> int:
        return self._counts[kind]

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """The fields of the kept entries of one kind, oldest first."""
        return [entry.fields for entry in self._entries if entry.kind == kind]

    async def wait_for(self, kind: str, at_least: int = 1) -> None:
        """Return as soon as ``kind`` has happened that often; the caller sets the deadline."""
        while self._counts[kind] < at_least:
            self._changed.clear()
            await self._changed.wait()

    def report(self, since: int = 0) -> dict[str, Any]:
        """Counters, and the kept entries numbered above ``since``."""
        return {
            "counters": dict(self._counts),
            "events": [asdict(entry) for entry in self._entries if entry.number > since],
        }
