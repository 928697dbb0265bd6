"""A sign of life for somebody outside, who notices when it stops."""

from __future__ import annotations

import time

import structlog

log = structlog.get_logger()

TIMEOUT_S = 10.0
RETRY_S = 30.0


class Heartbeat:
    """Requests a URL, not more often than wanted; while it is not heard, more often."""

    def __init__(self, url: str, every_s: float) -> None:
        self._url = url
        self._every_s = every_s
        self._next_at = time.monotonic()

    def beat(self) -> None:
        """Request it, if it is time; a failure is logged and tried again soon."""
        now = time.monotonic()
        if now < self._next_at:
            return
        heard = self._request()
        self._next_at = now + (self._every_s if heard else min(self._every_s, RETRY_S))

    def _request(self) -> bool:
        import httpx  # noqa: PLC0415 - 2 MB that only those pay who are watched from outside

        try:
            httpx.get(self._url, timeout=TIMEOUT_S).raise_for_status()
        except httpx.HTTPStatusError as refused:
            log.warning("heartbeat_refused", status=refused.response.status_code)
            return False
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # its text may hold the URL
            log.warning("heartbeat_not_heard", error=type(error).__name__)
            return False
        return True
