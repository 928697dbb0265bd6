"""Items that the ledger refuses although it is there: they wait with all that follows on their channel, for a while."""

from __future__ import annotations

import time
from collections.abc import Sequence

from listener.timing import Timing
from rebalancer.ledger.channel_log import ChannelHealth, Item


class Parking:
    """What waits, in its order; a channel is in here as long as anything of it is."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._items: list[Item] = []
        self._refusals = 0
        self._due_at = 0.0

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, channel: str) -> bool:
        return any(item.channel == channel for item in self._items)

    @property
    def pause_s(self) -> float | None:
        """Until the next try; ``None`` while nothing waits."""
        return max(0.0, self._due_at - time.monotonic()) if self._items else None

    def refused(self, items: Sequence[Item]) -> None:
        """What a try left over; without anything left the next refusal counts as the first again."""
        if not items:
            self._refusals = self._refusals if self._items else 0
            return
        self._refusals += 1
        self._due_at = time.monotonic() + self._timing.pause_after(self._refusals)
        for item in items:
            self.join(item)

    def join(self, item: Item) -> None:
        """Something new of a channel that waits; history brings the same messages again, old health says nothing."""
        if isinstance(item, ChannelHealth):
            self._items = [
                one for one in self._items if not isinstance(one, ChannelHealth) or one.channel != item.channel
            ]
        if item not in self._items:
            self._items.append(item)

    def take_due(self) -> list[Item]:
        """Everything, once its time has come."""
        if self.pause_s != 0:
            return []
        taken, self._items = self._items, []
        return taken
