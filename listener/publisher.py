"""Hints for the workers, published beside the recording: Redis may be slow or away, the ledger must not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID

import structlog

from listener.threads import in_daemon_thread
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.queueing.dispatcher import Dispatcher

log = structlog.get_logger()


class Publisher:
    """Publishes the events of what was just recorded; whatever it misses, beat publishes a second later."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._waiting: set[UUID] = set()
        self._filled = asyncio.Event()

    def put(self, event_ids: Iterable[UUID]) -> None:
        """Publish these soon."""
        self._waiting.update(event_ids)
        if self._waiting:
            self._filled.set()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._filled.wait()
            await self.flush()

    async def flush(self) -> None:
        """Publish what waits."""
        taken, self._waiting = self._waiting, set()
        self._filled.clear()
        if not taken:
            return
        try:
            await in_daemon_thread(lambda: self._dispatcher.publish_due(taken))
        except RecordUnavailable as error:
            log.warning("publish_left_to_beat", events=len(taken), error=str(error))
