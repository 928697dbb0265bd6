"""The Flex web service over HTTP, in its two steps.

``GET  /FlexWebService/SendRequest``   ``t``: the token, ``q``: the query's number, ``v``: 3; gives a reference
``GET  /FlexWebService/GetStatement``  ``t``: the token, ``q``: the reference; gives the statements, or says 1019
``PUT  /knobs``                        what it is like from now on: see :class:`~sandbox.flex.knobs.Knobs`

Knobs are taken from this machine only.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any, Self
from xml.sax.saxutils import escape

from aiohttp import web
from pydantic import ValidationError

from rebalancer.domain.loopback import LOOPBACK
from sandbox.flex.documents import document
from sandbox.flex.knobs import Knobs
from sandbox.gateway.hours import trading_day
from sandbox.gateway.memory import BookFile, Memory
from sandbox.gateway.opening import opening
from sandbox.gateway.scenario import Instrument, load_scenario
from sandbox.serving import serve_as_process, serving

PATH = "/FlexWebService"
MINUTE_S = 60.0
GRACE_S = 0.2
"""How long requests that are being answered may hold up the end."""
_NEXT_DAY = timedelta(days=1)
_WORDS = {
    1012: "Token has expired.",
    1014: "Query is invalid.",
    1015: "Token is invalid.",
    1017: "Reference code is invalid.",
    1018: "Too many requests have been made from this token. Please try again shortly.",
    1019: "Statement generation in progress. Please try again shortly.",
    1020: "Invalid request or unable to validate request.",
}
_WARNED = frozenset({1018, 1019})


class Refusal(Exception):
    """An answer with a code."""

    def __init__(self, code: int) -> None:
        super().__init__(_WORDS.get(code, "Statement could not be retrieved at this time. Please try again shortly."))
        self.code = code


class FlexService:
    """Answers questions; knows no HTTP.

    Args:
        books: the broker's, as they are now.
        clock: the broker's.
    """

    def __init__(
        self,
        books: Callable[[], Memory],
        instruments: dict[str, Instrument],
        token: str,
        knobs: Knobs | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.knobs = knobs or Knobs()
        self.asked: list[str] = []
        """Steps that were asked, in order."""
        self._books = books
        self._instruments = instruments
        self._token = token
        self._clock = clock
        self._times: deque[float] = deque()
        self._references = count(4_000_000_001)
        self._waiting: dict[str, int] = {}

    def request(self, token: str, query: str) -> str:
        """The reference of a new statement.

        Raises:
            Refusal: as IBKR would.
        """
        self._admit("SendRequest", token)
        if query not in self.knobs.queries:
            raise Refusal(1014)
        reference = str(next(self._references))
        self._waiting[reference] = self.knobs.not_ready
        return reference

    def statement(self, token: str, reference: str) -> bytes:
        """A statement that was asked for.

        Raises:
            Refusal: as IBKR would.
        """
        self._admit("GetStatement", token)
        if reference not in self._waiting:
            raise Refusal(1017)
        if self._waiting[reference]:
            self._waiting[reference] -= 1
            raise Refusal(1019)
        now = self._clock()
        last = trading_day(now) - (_NEXT_DAY if self.knobs.through == "yesterday" else timedelta())
        first = last - timedelta(days=self.knobs.days - 1)
        return document(self._books(), self._instruments, (first, last), self.knobs, now=now)

    def _admit(self, step: str, token: str) -> None:
        self.asked.append(step)
        if self.knobs.refuse is not None:
            raise Refusal(self.knobs.refuse)
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise Refusal(1015)
        if self.knobs.expired:
            raise Refusal(1012)
        if self.knobs.per_minute is not None:
            self._throttle(self.knobs.per_minute)

    def _throttle(self, most: int) -> None:
        now = monotonic()
        while self._times and now - self._times[0] > MINUTE_S:
            self._times.popleft()
        if len(self._times) >= most or (self._times and now - self._times[-1] < 1):
            raise Refusal(1018)
        self._times.append(now)


SERVICE = web.AppKey("service", FlexService)


def application(service: FlexService) -> web.Application:
    """The service as an aiohttp application."""
    app = web.Application(middlewares=[_tell_refusals])
    app[SERVICE] = service
    app.router.add_get(f"{PATH}/SendRequest", _send_request)
    app.router.add_get(f"{PATH}/GetStatement", _get_statement)
    app.router.add_put("/knobs", _put_knobs)
    return app


class FlexServer:
    """The service in a thread of this process, for tests; also a context manager.

    ``url`` is what ``FLEX_BASE_URL`` wants; it is known once started.
    """

    def __init__(self, service: FlexService, port: int = 0) -> None:
        self.service = service
        self.url = ""
        self._port = port
        self._thread = Thread(target=lambda: asyncio.run(self._main()), name="flex", daemon=True)
        self._started: Future[str] = Future()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._started.result(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=10)

    def set(self, **knobs: Any) -> None:
        """Other knobs from the next question on; what is not named has its default."""
        self.service.knobs = Knobs.model_validate({"per_minute": None} | knobs)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            app = application(self.service)
            async with serving(app, LOOPBACK, self._port, shutdown_timeout=GRACE_S) as address:
                self._started.set_result("http://{}:{}".format(*address) + PATH)
                await self._stop.wait()
        except OSError as taken:
            self._started.set_exception(taken)


def of_files(scenario: Path, data: Sequence[Path], token: str, knobs: Knobs) -> FlexService:
    """The service over the books that gateways keep, each in a file that need not be there yet."""
    setup, files = load_scenario(scenario), [BookFile(path) for path in data]

    def books() -> Memory:
        kept = [memory for memory in (file.load(setup, partly=True) for file in files) if memory]
        known = [account for memory in kept for account in memory.accounts]
        ids = {account.account_id for account in known}
        untouched = [account for account in opening(setup).accounts if account.account_id not in ids]
        return Memory(
            (*known, *untouched),
            executions=tuple(one for memory in kept for one in memory.executions),
            movements=tuple(one for memory in kept for one in memory.movements),
        )

    return FlexService(books, dict(setup.instruments), token, knobs)


def run(host: str, port: int, service: FlexService) -> int:
    """Serve until SIGINT or SIGTERM.

    Returns:
        The process' exit code: 0, or 2 when the address is unusable.
    """

    async def start(stack: AsyncExitStack) -> list[str]:
        app = application(service)
        address = await stack.enter_async_context(serving(app, host, port, shutdown_timeout=GRACE_S))
        return ["Flex web service listening on http://{}:{}".format(*address) + PATH]

    return serve_as_process(start, host, port)


@web.middleware
async def _tell_refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    service = request.app[SERVICE]
    if service.knobs.garbled and request.method == "GET":
        return web.Response(text="<html>We are sorry", content_type="text/html")
    try:
        return await handler(request)
    except Refusal as refusal:
        status = "Warn" if refusal.code in _WARNED else "Fail"
        said = f"<ErrorCode>{refusal.code}</ErrorCode><ErrorMessage>{escape(str(refusal))}</ErrorMessage>"
        return _answer(f"<Status>{status}</Status>{said}")


def _answer(inside: str) -> web.Response:
    at = f"{datetime.now(UTC):%d %B, %Y %I:%M %p} UTC"
    return web.Response(
        text=f"<FlexStatementResponse timestamp='{at}'>{inside}</FlexStatementResponse>", content_type="text/xml"
    )


async def _send_request(request: web.Request) -> web.Response:
    token, query = _asked(request)
    reference = request.app[SERVICE].request(token, query)
    url = f"{request.url.origin()}{PATH}/GetStatement"
    said = f"<ReferenceCode>{reference}</ReferenceCode><Url>{escape(url)}</Url>"
    return _answer(f"<Status>Success</Status>{said}")


async def _get_statement(request: web.Request) -> web.Response:
    return web.Response(body=request.app[SERVICE].statement(*_asked(request)), content_type="text/xml")


def _asked(request: web.Request) -> tuple[str, str]:
    query = request.query
    if query.get("v") != "3" or not query.get("t") or not query.get("q") or not request.headers.get("User-Agent"):
        raise Refusal(1020)
    return query["t"], query["q"]


async def _put_knobs(request: web.Request) -> web.Response:
    if request.remote is None or not ipaddress.ip_address(request.remote).is_loopback:
        return web.json_response({"error": "knobs are changed from this machine only"}, status=403)
    try:
        request.app[SERVICE].knobs = Knobs.model_validate_json(await request.read())
    except ValidationError as refused:
        return web.json_response({"error": str(refused)}, status=422)
    return web.json_response({"ok": True})
