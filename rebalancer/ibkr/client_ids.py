"""Client ids under which a process may connect. The gateway alone decides who has one: it refuses a second connection
under the same id with 326, so an open session needs nobody else's word for it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


class ClientIds(Protocol):
    """Where a connection gets its client id from."""

    @property
    def candidates(self) -> Sequence[int]:
        """Ids in the order in which they are tried; at least one."""


@dataclass(frozen=True, slots=True)
class FixedClientId:
    """A client id that nobody else uses, by arrangement."""

    client_id: int

    @property
    def candidates(self) -> Sequence[int]:
        """The arranged id."""
        return (self.client_id,)


@dataclass(frozen=True, slots=True)
class ClientIdRange:
    """Ids that processes and hosts on one gateway share. Who restarts takes the lowest free one: its old one, unless
    another took it meanwhile.
    """

    first: int
    count: int

    def __post_init__(self) -> None:
        if self.first < 1:
            raise ValueError("client id 0 is reserved for binding orders placed by hand")

    @property
    def candidates(self) -> Sequence[int]:
        """From the lowest on."""
        return range(self.first, self.first + self.count)


WANTED_S = 600.0
"""How long one wish is told: longer than a run that keeps the id, and than the pause until the id is tried again."""


class WantedIds:
    """Client ids that are in use, while this process has to cancel what was sent under them."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def add(self, client_id: int) -> None:
        """It is wanted from now on, for a while."""
        self._until[client_id] = time.monotonic() + WANTED_S

    def discard(self, client_ids: Collection[int]) -> None:
        """They are wanted no more."""
        self._until = {one: until for one, until in self._until.items() if one not in client_ids}

    def now(self) -> list[int]:
        """Those wanted at present."""
        return sorted(one for one, until in self._until.copy().items() if until > time.monotonic())
