"""What the SDK says in its log when it drops messages, which is the only place where it says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NOT_MORE_OFTEN_THAN_S = 1.0


@contextmanager
def sdk_complaints(on_complaint: Callable[[], None]) -> Iterator[None]:
    """While it lasts, call back, in this loop and not too often, when the SDK logs an error."""
    handler = _Handler(on_complaint)
    logger = logging.getLogger("ably")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, on_complaint: Callable[[], None]) -> None:
        super().__init__(logging.ERROR)
        self._on_complaint = on_complaint
        self._loop = asyncio.get_running_loop()
        self._again_at = 0.0

    def emit(self, _record: logging.LogRecord) -> None:
        """In whichever thread the SDK logs."""
        self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        if self._loop.time() >= self._again_at:
            self._again_at = self._loop.time() + NOT_MORE_OFTEN_THAN_S
            self._on_complaint()
