"""What the channels' history holds, read over REST.

The SDK's own ``history()`` decodes a page as a whole, so that one bad message hides all others for good, and on a
realtime client it disturbs the connection. Hence a client of its own and raw pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import structlog
from ably import AblyRest

log = structlog.get_logger()

PROTOCOL = "5"
PAGE = "100"
NOT_CAPABLE = "40160"
"""Ably's code for a key that lacks the capability; any other refusal may pass."""
TOKEN_SPENT = frozenset(map(str, range(40140, 40150)))
"""Its codes for a token that a new client would renew; raw requests do not renew it by themselves."""
CLOCKS_DIFFER = timedelta(seconds=60)
"""As far as a clock that is kept may be off."""


class HistoryUnavailable(Exception):
    """It could not be read now."""


class HistoryDenied(Exception):
    """The key may not read it; waiting does not help."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a channel's messages, oldest first.

    Attributes:
        at: when the server answered, by its clock.
    """

    items: tuple[object, ...]
    at: datetime


class History:
    """Reads with one client of the SDK, which is replaced when anything goes wrong."""

    def __init__(self, options: Mapping[str, Any], timeout_s: float) -> None:
        self._options = options
        self._timeout_s = timeout_s
        self._client: Any = None

    async def pages(self, channel: str, since: datetime) -> AsyncIterator[Page]:
        """Everything published from ``since`` on.

        Raises:
            HistoryUnavailable: worth another try.
            HistoryDenied: not worth one.
        """
        path = f"/channels/{quote(channel, safe='')}/messages"
        query = {"start": str(int(since.timestamp() * 1000)), "direction": "forwards", "limit": PAGE}
        answer = await self._ask(lambda client: client.request("GET", path, PROTOCOL, params=query))
        while answer is not None:
            yield Page(tuple(answer.items), _server_time(answer))
            answer = await self._ask(lambda _, page=answer: page.next())

    async def now(self) -> datetime:
        """The server's time. If it does not tell, ours, and so much earlier that it is not ahead of the server's."""
        try:
            milliseconds = await self._guarded(lambda client: client.time())
        except HistoryUnavailable as problem:
            log.warning("server_time_unknown", error=str(problem))
            return datetime.now(UTC) - CLOCKS_DIFFER
        return datetime.fromtimestamp(milliseconds / 1000, UTC)

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._replace(self._client)

    async def _ask(self, request: Any) -> Any:
        answer = await self._guarded(request)
        if answer is None or answer.success:
            return answer
        code = str(answer.error_code)
        problem = f"HTTP {answer.status_code}, code {code}: {answer.error_message}"
        if code == NOT_CAPABLE:
            raise HistoryDenied(problem)
        if code in TOKEN_SPENT and self._client is not None:
            await self._replace(self._client)
        raise HistoryUnavailable(problem)

    async def _guarded(self, request: Any) -> Any:
        client = self._client = self._client or AblyRest(**self._options)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await request(client)
        except Exception as problem:  # the SDK raises its own errors, httpx's, json's and plain KeyErrors
            await self._replace(client)
            raise HistoryUnavailable(f"{type(problem).__name__}: {problem}") from problem

    async def _replace(self, client: Any) -> None:
        """Have the next request make a new one; requests under way on this one fail and are made again."""
        if self._client is not client:
            return
        self._client = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await client.close()


def _server_time(answer: Any) -> datetime:
    """From the answer's Date header, to the second; by our clock if it has none."""
    for name, value in answer.headers:
        if name.lower() == "date":
            try:
                return parsedate_to_datetime(value).astimezone(UTC)
            except ValueError:
                break
    return datetime.fromtimestamp(int(time.time()), UTC)
