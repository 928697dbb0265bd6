"""Token buckets: how often somebody may do something, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

MANY = 4096
"""Buckets kept at most; the fullest are forgotten first, which forgives nothing."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """So many per minute for each name, in bursts of up to that many."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, name: str) -> float:
        """Use one token.

        Returns:
            0 if there was one, else the seconds until there will be.
        """
        with self._lock:
            bucket = self._filled(name)
            if wait_s := self._wait_s(bucket):
                return wait_s
            bucket.tokens -= 1
            return 0.0

    def wait(self, name: str) -> float:
        """Seconds until there is a token, of which none is used."""
        with self._lock:
            return self._wait_s(self._filled(name))

    def _wait_s(self, bucket: _Bucket) -> float:
        return max(0.0, (1 - bucket.tokens) / self._per_second)

    def _filled(self, name: str) -> _Bucket:
        now = self._clock()
        if name not in self._buckets and len(self._buckets) >= MANY:
            del self._buckets[max(self._buckets, key=lambda one: self._buckets[one].tokens)]
        bucket = self._buckets.setdefault(name, _Bucket(self._burst, now))
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_second)
        bucket.at = now
        return bucket
