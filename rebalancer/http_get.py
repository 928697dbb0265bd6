"""One GET of a document that others publish, with bounds on time and size; it never follows a redirect."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import httpx

from rebalancer.domain.loopback import LOOPBACK_NAMES

LARGEST_ANSWER = 1_000_000
"""Bytes."""


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
    """Ask once.

    Args:
        timeout_s: longest silence; a whole answer may take twice as long.
        largest: bytes of a body.

    Raises:
        Unanswered: no connection, silence, a body that breaks off, or one that is too long.
    """
    deadline = time.monotonic() + 2 * timeout_s
    try:
        # A proxy of the environment can reach a provider, but never a server on this machine.
        proxied = httpx.URL(url).host not in LOOPBACK_NAMES
        with (
            httpx.Client(timeout=timeout_s, trust_env=proxied, verify=_trust()) as client,
            client.stream("GET", url, headers=dict(headers)) as response,
        ):
            onward = response.next_request
            location = str(onward.url) if onward is not None else None
            return Answer(
                response.status_code, response.headers, _body(response, timeout_s, deadline, largest), location
            )
    except httpx.TimeoutException as silent:
        raise Unanswered(f"no answer within {timeout_s:g} s ({type(silent).__name__})") from None
    except (httpx.HTTPError, httpx.InvalidURL) as broken:
        raise Unanswered(f"{type(broken).__name__}: {broken}") from None


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
