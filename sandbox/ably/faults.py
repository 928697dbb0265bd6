"""Which faults are armed."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Surface = Literal["rest", "upgrade"]
"""Where an HTTP fault strikes: REST calls, or the requests that open a realtime connection."""


class Strikes:
    """How many more times a fault strikes, by channel; under None it strikes on whichever channel comes first."""

    def __init__(self) -> None:
        self._left: Counter[str | None] = Counter()

    def arm(self, channel: str | None, times: int) -> None:
        """0 disarms."""
        self._left[channel] = times

    def take(self, channel: str | None) -> bool:
        """Whether it strikes now."""
        for key in dict.fromkeys((channel, None)):
            if self._left[key] > 0:
                self._left[key] -= 1
                return True
        return False


@dataclass(slots=True)
class HttpFault:
    """The next ``times`` requests on a surface whose path contains ``path_contains`` are answered with an error."""

    status: int
    code: int
    times: int
    surface: Surface
    path_contains: str


@dataclass(slots=True)
class Faults:
    """The armed faults; consulted by the code that they disturb, set by the knobs.

    Attributes:
        gaps: publishes that reach history but nobody live.
        refused_attaches: attachments whose continuity is broken although it could be kept.
        refused_resumes: connections that cannot be resumed.
        swallowed_attaches: ATTACH frames that stay without an answer.
        replay_after_loss: a broken attachment starts at the oldest message still held, not at the newest.
        thawed: cleared while the server is a black hole.
    """

    gaps: Strikes = field(default_factory=Strikes)
    refused_attaches: Strikes = field(default_factory=Strikes)
    refused_resumes: Strikes = field(default_factory=Strikes)
    swallowed_attaches: Strikes = field(default_factory=Strikes)
    replay_after_loss: bool = False
    http: list[HttpFault] = field(default_factory=list)
    thawed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.thawed.set()

    def take_http(self, surface: Surface, path: str) -> HttpFault | None:
        """The fault that answers this request, if one does."""
        for fault in self.http:
            if fault.times > 0 and fault.surface == surface and fault.path_contains in path:
                fault.times -= 1
                return fault
        return None
