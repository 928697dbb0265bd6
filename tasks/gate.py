"""Worker processes begin once their parent takes messages: before, they would only take the cores from it."""

from __future__ import annotations

import os
import select
from functools import lru_cache


class Gate:
    """A pipe that nobody writes to: it opens when its parent has let go of it, or has died."""

    def __init__(self) -> None:
        self._ahead, self._behind = os.pipe()

    def let_go(self) -> None:
        """In the parent, open it; in a child, which has it from its parent, hold it no longer."""
        if self._behind >= 0:
            os.close(self._behind)
            self._behind = -1

    def passed(self, longest_s: float) -> bool:
        """Wait until it is open.

        Returns:
            Whether it is: false after ``longest_s``.
        """
        return bool(select.select([self._ahead], [], [], longest_s)[0])


@lru_cache(maxsize=1)
def gate() -> Gate:
    """That of a worker: made by the parent before its first fork."""
    return Gate()
