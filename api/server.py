"""The HTTP server under the app: uvicorn, which leaves neither time nor room to whoever says nothing."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.guard import HEADERS, LARGEST_HEADERS
from rebalancer.config.api_settings import ApiSettings

REQUEST_S = 10.0
"""Seconds in which the head of a request has to be complete."""
ANSWER_S = 30.0
"""Seconds for which a caller may take nothing of an answer that waits for him."""
MANY_CONNECTIONS = 512
"""Connections at a time; beyond that the oldest of those that have asked nothing yet makes room."""
KEEP_ALIVE_S = 5
GRACE_S = 3
LOOK_S = 1.0
"""Between two looks whether to end; uvicorn's own looks, ten in a second, are most of what an idle server does."""


def config(app: FastAPI, settings: ApiSettings, host: str, port: int) -> uvicorn.Config:
    """How the app is served: only trusted proxies say whom they speak for."""
    proxies = settings.api_trusted_proxies
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PatientProtocol,
        ws="none",
        log_config=None,  # its own would take its lines past the last step of ours, which hides secrets
        proxy_headers=proxies is not None,
        forwarded_allow_ips=proxies or "",
        server_header=False,
        h11_max_incomplete_event_size=LARGEST_HEADERS * 2,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


class Server(uvicorn.Server):
    """uvicorn's server, which sleeps for longer."""

    async def main_loop(self) -> None:
        """Until it is to end; renews the date of answers."""
        while not await self.on_tick(0):  # noqa: ASYNC110 - uvicorn's signal handler sets no event
            await asyncio.sleep(LOOK_S)


class PatientProtocol(H11Protocol):
    """uvicorn's protocol with deadlines for asking and for taking answers, and a bound on connections."""

    _deadline: asyncio.TimerHandle | None = None
    _taken_by: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        if len(self.connections) > MANY_CONNECTIONS:
            self._make_room()
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._forget()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self._expect()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taken_by = self.loop.call_later(ANSWER_S, self.transport.abort)

    def resume_writing(self) -> None:
        if self._taken_by is not None:
            self._taken_by.cancel()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        if self._taken_by is not None:
            self._taken_by.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, with the same words to browsers as every other answer."""
        plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        headers = plain + [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
        events: tuple[Any, ...] = (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=msg.encode("ascii")),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(cast("bytes", self.conn.send(event)))
        self.transport.close()

    @property
    def waits_since(self) -> float | None:
        """When the deadline of a request's head will be over; ``None`` while none is awaited."""
        return self._deadline.when() if self._deadline is not None else None

    def leave(self) -> None:
        """End the connection at once; it is waited for no more even before the event loop tells that it is gone."""
        self._forget()
        self.transport.abort()

    def _expect(self) -> None:
        self._forget()
        if not self.transport.is_closing():
            self._deadline = self.loop.call_later(REQUEST_S, self.transport.close)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _make_room(self) -> None:
        ours = [one for one in self.connections if isinstance(one, PatientProtocol) and one.waits_since is not None]
        if ours:
            oldest = min(ours, key=lambda one: one.waits_since or 0.0)
            oldest.leave()
