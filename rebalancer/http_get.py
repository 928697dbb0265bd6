"""GET of documents that others publish, with bounds on time and size; it never follows a redirect."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

import httpx

from rebalancer.domain.loopback import LOOPBACK_NAMES

LARGEST_ANSWER = 1_000_000
"""Bytes."""
KEPT_S = 60.0
"""After which a connection that nobody uses is not used again; orders may take as long to fill."""
_BROKEN = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
Kept = Mapping[str, httpx.BaseTransport]
"""By the addresses that it is used for."""
_kept: ContextVar[Kept | None] = ContextVar("_kept", default=None)


class Unanswered(Exception):
    """There is no whole answer; says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; names of headers are in small letters.

    Attributes:
        location: where it sends whoever asked, absolute; ``None`` if nowhere.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    location: str | None


def get(url: str, headers: Mapping[str, str], timeout_s: float, largest: int = LARGEST_ANSWER) -> Answer:
    """Ask once; again where a connection that was kept ends meanwhile.

    Args:
        timeout_s: longest silence; a whole answer may take twice as long.
        largest: bytes of a body.

    Raises:
        Unanswered: no connection, silence, a body that breaks off, or one that is too long.
    """
    deadline, kept = time.monotonic() + 2 * timeout_s, _kept.get()

    def ask(over: Kept | None) -> Answer:
        # A proxy of the environment can reach a provider, but never a server on this machine.
        proxied = httpx.URL(url).host not in LOOPBACK_NAMES
        with (
            httpx.Client(timeout=timeout_s, trust_env=proxied, verify=_trust(), mounts=over) as client,
            client.stream("GET", url, headers=dict(headers)) as response,
        ):
            onward = response.next_request
            location = str(onward.url) if onward is not None else None
            return Answer(
                response.status_code, response.headers, _body(response, timeout_s, deadline, largest), location
            )

    try:
        try:
            return ask(kept)
        except _BROKEN:
            if kept is None:
                raise
            return ask(None)  # its server may have ended the connection just then
    except httpx.TimeoutException as silent:
        raise Unanswered(f"no answer within {timeout_s:g} s ({type(silent).__name__})") from None
    except (httpx.HTTPError, httpx.InvalidURL) as broken:
        raise Unanswered(f"{type(broken).__name__}: {broken}") from None


@contextmanager
def connections_kept() -> Iterator[None]:
    """Within the block this thread asks a server again over the connection that it has: the next question needs no
    handshake, which over TLS is two round trips.
    """
    with httpx.HTTPTransport(verify=_trust(), limits=httpx.Limits(keepalive_expiry=KEPT_S)) as transport:
        before = _kept.set({"all://": _Outliving(transport)})
        try:
            yield
        finally:
            _kept.reset(before)


class _Outliving(httpx.BaseTransport):
    """Connections that outlive the client of one question; its cookies do not."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._transport.handle_request(request)


def load_ahead() -> None:
    """Load what the first question would: certificates, and what speaks HTTP."""
    httpx.Client(verify=_trust()).close()


def _body(response: httpx.Response, timeout_s: float, deadline: float, largest: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > largest:
            raise Unanswered(f"the answer is longer than {largest} bytes")
        if time.monotonic() > deadline:
            raise Unanswered(f"the answer was not complete within {2 * timeout_s:g} s")
    return bytes(body)


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """Certificates that we trust; reading them takes longer than a request."""
    return httpx.create_ssl_context()
