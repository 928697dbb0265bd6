"""The allocations API over HTTP.

``GET    /``                        the strategies' names
``GET    /{strategy}/allocations``  the strategy's targets, in the provider's format
``PUT    /{strategy}/allocations``  new targets: ``{"allocations": [{"symbol", "allocation"}], "as_of"?, ...}``
``PUT    /{strategy}/raw``          answer literally: ``{"status", "body", "delay_s"}``
``DELETE /{strategy}/raw``          answer with the targets again
``GET    /documents/{name}``        a table as somebody publishes it: needs no key
``PUT    /documents/{name}``        see :class:`~sandbox.allocations.answers.PublishedDocument`

All others need the header ``x-api-key``; what changes answers is taken from this machine only.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from threading import Thread
from typing import Any, Self, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from rebalancer.domain.loopback import LOOPBACK
from sandbox.allocations.answers import SHIPPED, Answers, Publication, PublishedDocument, RawAnswer, load_answers
from sandbox.serving import serve_as_process, serving

KEY = web.AppKey("key", str)
ANSWERS = web.AppKey("answers", Answers)
# How long requests that are being answered may hold up the end.
GRACE_S = 0.2

M = TypeVar("M", bound=BaseModel)


def application(answers: Answers, key: str) -> web.Application:
    """The API as an aiohttp application."""
    app = web.Application(middlewares=[_guard])
    app[KEY] = key
    app[ANSWERS] = answers
    app.router.add_get("/", _get_strategies)
    app.router.add_get("/documents/{name}", _get_document)
    app.router.add_put("/documents/{name}", _put_document)
    app.router.add_get("/{strategy}/allocations", _get_allocations)
    app.router.add_put("/{strategy}/allocations", _put_allocations)
    app.router.add_put("/{strategy}/raw", _put_raw)
    app.router.add_delete("/{strategy}/raw", _delete_raw)
    return app


class AllocationsServer:
    """The API in a thread of this process, for tests; also a context manager.

    ``url`` is the base URL that ``ALLOCATIONS_BASE_URL`` wants; it is known once started.
    """

    def __init__(self, answers: Answers | None = None, *, key: str = "sandbox", port: int = 0) -> None:
        self._answers = answers or load_answers()
        self._key = key
        self._port = port
        self._thread = Thread(target=lambda: asyncio.run(self._main()), name="allocations", daemon=True)
        self._started: Future[str] = Future()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.url = ""

    def start(self) -> Self:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        self._thread.start()
        self.url = self._started.result(timeout=10)
        return self

    def stop(self) -> None:
        """Stop listening and cut requests short; harmless when stopped already."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=10)

    def publish(self, strategy: str, weights: dict[str, float]) -> None:
        """Replace a strategy's targets."""
        rows = [{"symbol": symbol, "allocation": weight} for symbol, weight in weights.items()]
        self._do(lambda: self._answers.publish(strategy, Publication.model_validate({"allocations": rows})))

    def set_raw(self, strategy: str, *, status: int = 200, body: str = "", delay_s: float = 0) -> None:
        """Answer literally until targets are published again."""
        self._do(lambda: self._answers.set_raw(strategy, RawAnswer(status=status, body=body, delay_s=delay_s)))

    def publish_document(self, name: str, body: str, **options: Any) -> str:
        """Publish a table, or replace it; options are those of a ``PublishedDocument``.

        Returns:
            Its URL.
        """
        document = PublishedDocument(body=body, **options)
        self._do(lambda: self._answers.documents.update({name: document}))
        return f"{self.url}/documents/{name}"

    def asked(self, strategy: str) -> int:
        """How often the strategy's targets have been asked for, with the right key; or a document."""
        return self._answers.asked[strategy]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _do(self, change: Callable[[], None]) -> None:
        async def changed() -> None:
            change()

        asyncio.run_coroutine_threadsafe(changed(), self._loop).result(timeout=10)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        app = application(self._answers, self._key)
        try:
            async with _serving(app, LOOPBACK, self._port) as address:
                self._started.set_result("http://{}:{}".format(*address))
                await self._stop.wait()
        except OSError as taken:
            self._started.set_exception(taken)


def run(host: str, port: int, file: Path | None, key: str) -> int:
    """Serve until SIGINT or SIGTERM.

    Returns:
        The process' exit code: 0, or 2 when the address is unusable.
    """
    app = application(load_answers(file or SHIPPED), key)

    async def start(stack: AsyncExitStack) -> list[str]:
        address = await stack.enter_async_context(_serving(app, host, port))
        return ["allocations listening on http://{}:{}".format(*address)]

    return serve_as_process(start, host, port)


def _serving(app: web.Application, host: str, port: int) -> AbstractAsyncContextManager[tuple[str, int]]:
    return serving(app, host, port, handler_cancellation=True, shutdown_timeout=GRACE_S)


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Check the key, keep changes local and tell every failure in the API's own form."""
    given = request.headers.get("x-api-key", "")
    published = request.method == "GET" and request.path.startswith("/documents/")
    if not published and not hmac.compare_digest(given.encode(), request.app[KEY].encode()):
        return _error(401, "missing or wrong x-api-key")
    if request.method != "GET" and not _is_local(request.remote):
        return _error(403, "answers are changed from this machine only")
    try:
        return await handler(request)
    except ValidationError as refused:
        return _error(422, str(refused))
    except web.HTTPException as raised:
        return _error(raised.status, raised.reason)


async def _get_strategies(request: web.Request) -> web.Response:
    return web.json_response({"status": "success", "data": [{"name": name} for name in request.app[ANSWERS].names()]})


async def _get_allocations(request: web.Request) -> web.Response:
    strategy = request.match_info["strategy"]
    request.app[ANSWERS].asked[strategy] += 1
    raw = request.app[ANSWERS].raw(strategy)
    if raw is not None:
        await asyncio.sleep(raw.delay_s)
        return web.Response(status=raw.status, text=raw.body, content_type="application/json")
    data = request.app[ANSWERS].targets(strategy)
    if data is None:
        return _error(404, f"strategy {strategy} is unknown")
    return web.json_response({"status": "success", "data": data.model_dump(mode="json")})


async def _put_allocations(request: web.Request) -> web.Response:
    request.app[ANSWERS].publish(request.match_info["strategy"], await _read(request, Publication))
    return web.json_response({"status": "success"})


async def _get_document(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    request.app[ANSWERS].asked[name] += 1
    document = request.app[ANSWERS].documents.get(name)
    if document is None:
        return web.Response(status=404, text="<!doctype html><title>Not found</title>", content_type="text/html")
    await asyncio.sleep(document.delay_s)
    headers = dict(document.headers)
    headers |= {"ETag": document.etag} if document.tagged else {}
    headers |= {"Last-Modified": document.modified} if document.modified else {}
    if _has_it(request, headers):
        return web.Response(status=304, headers=headers)
    body = document.body.encode()
    if document.cut_to is None:
        return web.Response(status=document.status, body=body, headers=headers, content_type=document.content_type)
    return await _cut(request, body[: document.cut_to], {**headers, "Content-Length": str(len(body))})


def _has_it(request: web.Request, version: Mapping[str, str]) -> bool:
    """Whether whoever asks has this version already."""
    asked = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
    return any(header in version and request.headers.get(asked[header]) == version[header] for header in asked)


async def _cut(request: web.Request, part: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """The beginning of a body, and then the connection ends."""
    answer = web.StreamResponse(headers=headers)
    await answer.prepare(request)
    await answer.write(part)
    if request.transport is not None:
        request.transport.abort()
    return answer


async def _put_document(request: web.Request) -> web.Response:
    request.app[ANSWERS].documents[request.match_info["name"]] = await _read(request, PublishedDocument)
    return web.json_response({"status": "success"})


async def _put_raw(request: web.Request) -> web.Response:
    request.app[ANSWERS].set_raw(request.match_info["strategy"], await _read(request, RawAnswer))
    return web.json_response({"status": "success"})


async def _delete_raw(request: web.Request) -> web.Response:
    request.app[ANSWERS].clear_raw(request.match_info["strategy"])
    return web.json_response({"status": "success"})


async def _read(request: web.Request, model: type[M]) -> M:
    return model.model_validate_json(await request.read())


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"status": "error", "message": message}, status=status)


def _is_local(address: str | None) -> bool:
    return address is not None and ipaddress.ip_address(address).is_loopback
