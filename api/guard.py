"""What stands before every request: whom it is addressed to, how much it brings, what browsers are told of the answer.

All of it is decided before anybody is identified and before anything is parsed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bodies import fault_of
from api.callers import is_loopback
from rebalancer.config.api_settings import ApiSettings

log = structlog.get_logger()

LARGEST_BODY = 65_536
LARGEST_HEADERS = 16_384
LONGEST_PATH = 8_192
BODY_S = 10.0
"""Seconds in which a body has to be complete."""
MANY = 256
"""Requests at a time, streams among them."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ANY = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - what API_HOST says for every address, not something to bind to
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?")


Refuse = Callable[[Scope, int, str], ASGIApp]
"""Makes the answer to a request that goes no further: what was asked, a status and a sentence."""


class GuardedAnswers:
    """Outermost: puts :data:`HEADERS` on every answer, and makes an answer of what nobody has caught: ``failed``."""

    def __init__(self, app: ASGIApp, failed: Callable[[Scope], ASGIApp]) -> None:
        self._app = app
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _complete(MutableHeaders(raw=message["headers"]))
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception:
            # The edge of the process: whatever it is, the caller is told and the log has it.
            log.exception("request_failed", method=scope["method"], path=scope["path"])
            if started:
                raise
            await self._failed(scope)(scope, receive, sent)


def _complete(headers: MutableHeaders) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.add_vary_header("Authorization, Cookie")


class Hosts:
    """Refuses requests for a name that is not ours: a page of another name whose address was changed to this machine's
    would otherwise be of one origin with us.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings, refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse
        self._allowed = allowed_hosts(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_ours(scope):
            refusal = self._refuse(scope, 400, "This is not the name of this service: see API_ALLOWED_HOSTS")
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        named = [value for name, value in scope["headers"] if name == b"host"]
        found = _HOST.fullmatch(named[0].decode("latin-1")) if len(named) == 1 else None
        if found is None or int(found[2] or 0) > 65_535:
            return False
        host = found[1].strip("[]").lower()
        arrived_at = scope["server"][0] if scope.get("server") else None
        return host in self._allowed or is_loopback(host) or host == arrived_at


def allowed_hosts(settings: ApiSettings) -> Collection[str]:
    """Names of this service beside loopback addresses and the address that a connection arrived at."""
    named = (settings.api_allowed_hosts or "").split(",")
    found = {name.strip().lower() for name in (*named, settings.api_host, "localhost")}
    return frozenset(found - ANY)


class Sizes:
    """Refuses what is too large, too slow, too deep or no number, and more requests at a time than can be served."""

    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = _oversized(scope) if self._active < MANY else (503, "Too many requests at a time")
        if refused is not None:
            await self._refuse(scope, *refused)(scope, receive, send)
            return
        self._active += 1
        try:
            await self._with_body(scope, receive, send)
        finally:
            self._active -= 1

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if "content-length" not in headers and "transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        fault = fault_of(body) if body and "json" in headers.get("content-type", "").lower() else None
        if body is None:
            late = f"The body is larger than {LARGEST_BODY} bytes or was not complete in {BODY_S:g} s"
            await self._refuse(scope, 413, late)(scope, receive, send)
        elif fault is not None:
            await self._refuse(scope, 422, fault)(scope, receive, send)
        else:
            await self._app(scope, _replayed(body, receive), send)


def _oversized(scope: Scope) -> tuple[int, str] | None:
    """What is wrong with a request before its body is looked at."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_PATH:
        return (414, f"The address is longer than {LONGEST_PATH} characters")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEADERS:
        return (431, f"The headers are larger than {LARGEST_HEADERS} bytes")
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > LARGEST_BODY:
        return (413, f"The body is larger than {LARGEST_BODY} bytes")
    return None


async def _read(receive: Receive) -> bytes | None:
    """The whole body; ``None`` when it is too large, too slow, or its sender has left."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if message["type"] != "http.request" or len(body) > LARGEST_BODY:
                    return None
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        return None


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed
