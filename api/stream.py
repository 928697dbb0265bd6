"""Server-sent events: tells whoever watches that something has changed; what, they read for themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import structlog
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.auth import ReadAllowed
from api.problems import READING
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger.queries import change_marker
from rebalancer.ledger.session import Ledger

log = structlog.get_logger()

router = APIRouter(tags=["health"])

LOOK_S = 1.0
KEEP_ALIVE_S = 15.0
MANY = 64
AWAY = "away"


class ChangeWatch:
    """Looks at the ledger at most once per second, however many watch."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = asyncio.Lock()
        self._seen = AWAY
        self._looked_at = -LOOK_S
        self.watchers = 0

    async def fingerprint(self) -> str:
        """Differs whenever there is something new to see; :data:`AWAY` while the ledger is."""
        async with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_S * 0.9:
                self._seen = await run_in_threadpool(self._look)
                self._looked_at = time.monotonic()
            return self._seen

    def _look(self) -> str:
        try:
            with self._ledger.begin() as session:
                return change_marker.fingerprint(session)
        except RecordUnavailable as error:
            log.warning("ledger_unavailable", error=str(error))
            return AWAY


@router.get(
    "/stream",
    dependencies=[ReadAllowed],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events named change, or away."}, **READING},
)
async def stream(request: Request) -> StreamingResponse:
    """An event ``change`` now and whenever something changes, ``away`` while the ledger cannot be read."""
    return _Watching(request.app.state.watch)


class _Watching(StreamingResponse):
    """A stream that takes its place when it begins, in one step with looking whether there is one."""

    def __init__(self, watch: ChangeWatch) -> None:
        self._watch = watch
        super().__init__(_events(watch), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._watch.watchers >= MANY:
            await JSONResponse({"detail": "Too many are watching"}, 503)(scope, receive, send)
            return
        self._watch.watchers += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._watch.watchers -= 1


async def _events(watch: ChangeWatch) -> AsyncIterator[str]:
    seen, told_at = "", 0.0
    while True:
        newest = await watch.fingerprint()
        if newest != seen:
            seen, told_at = newest, time.monotonic()
            yield f"event: {AWAY if newest == AWAY else 'change'}\ndata: {newest}\n\n"
        elif time.monotonic() - told_at > KEEP_ALIVE_S:
            told_at = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_S)
