"""Keep below IBKR's 50 messages per second with orders ahead of everything else."""

from __future__ import annotations

from collections import deque


class Pacer:
    """Two queues over one sliding window; a part of each window is kept free for urgent messages.

    Args:
        limit: messages in any interval. IBKR counts all kinds together and drops the excess (code 100).
        reserve: how many of them only urgent messages may use.
        interval_s: length of the window.
    """

    def __init__(self, limit: int, reserve: int, interval_s: float = 1.0) -> None:
        self._limit = limit
        self._ordinary_limit = max(1, limit - reserve)
        self._interval_s = interval_s
        self._urgent: deque[str] = deque()
        self._ordinary: deque[str] = deque()
        self._sent_at: deque[float] = deque()

    def add(self, message: str, *, urgent: bool) -> None:
        """Queue a message; first in, first out within its kind."""
        (self._urgent if urgent else self._ordinary).append(message)

    def due(self, now: float) -> list[str]:
        """Messages to send now, in this order; they count as sent."""
        self._slide(now)
        ready: list[str] = []
        while self._urgent and len(self._sent_at) < self._limit:
            ready.append(self._take(self._urgent, now))
        while self._ordinary and not self._urgent and len(self._sent_at) < self._ordinary_limit:
            ready.append(self._take(self._ordinary, now))
        return ready

    def urgent_at(self, now: float) -> float:
        """When an urgent message would leave at once, if :meth:`due` was asked before; ``now`` or later."""
        self._slide(now)
        if len(self._sent_at) < self._limit:
            return now
        return self._sent_at[0] + self._interval_s + 0.001

    def next_at(self) -> float | None:
        """When :meth:`due` will have more, on the same clock; ``None`` when nothing waits."""
        if not self._urgent and not self._ordinary:
            return None
        limit = self._limit if self._urgent else self._ordinary_limit
        blocking = len(self._sent_at) - limit
        # A hair later than the window's edge, so that the oldest message has left it.
        return self._sent_at[max(0, blocking)] + self._interval_s + 0.001

    def _slide(self, now: float) -> None:
        while self._sent_at and now - self._sent_at[0] > self._interval_s:
            self._sent_at.popleft()

    def _take(self, queue: deque[str], now: float) -> str:
        self._sent_at.append(now)
        return queue.popleft()
