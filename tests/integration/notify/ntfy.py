"""A server that takes messages as ntfy does, and pings as healthchecks.io does, on a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOPIC = "topic-that-nobody-guesses"
PING = "ping-that-nobody-guesses"


@dataclass
class NtfyServer:
    """What it has been sent, and how it answers.

    Attributes:
        status: HTTP status of its answers; messages are kept with 200 only.
        refuses: a text that it answers with 400.
        frozen: it takes requests and never answers them.
    """

    port: int = 0
    status: int = 200
    refuses: str | None = None
    frozen: bool = False
    requests: int = 0
    pings: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    closing: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def url(self) -> str:
        """For NOTIFY_URLS."""
        return f"ntfy://127.0.0.1:{self.port}/{TOPIC}"

    @property
    def ping_url(self) -> str:
        """For HEARTBEAT_URL."""
        return f"http://127.0.0.1:{self.port}/{PING}"

    @property
    def titles(self) -> list[str]:
        """Of the messages, in order of arrival."""
        return [message["title"] for message in self.messages]

    async def publish(self, request: web.Request) -> web.Response:
        """``POST /`` with a JSON body, https://docs.ntfy.sh/publish/#publish-as-json."""
        self.requests += 1
        if self.frozen:
            await self.closing.wait()
        message = await request.json()
        if self.status != 200 or message.get("topic") != TOPIC:
            return web.json_response(
                {"code": self.status * 100, "http": self.status, "error": TOPIC}, status=self.status
            )
        if self.refuses is not None and self.refuses in str(message):
            return web.json_response({"code": 40000, "http": 400, "error": "bad request"}, status=400)
        self.messages.append(message)
        return web.json_response({"id": str(len(self.messages)), "event": "message", **message})

    async def ping(self, request: web.Request) -> web.Response:
        """``GET /<uuid>``."""
        assert request.path == f"/{PING}"
        self.pings += 1
        return web.Response(text="OK", status=self.status)


@contextmanager
def serving_ntfy() -> Iterator[NtfyServer]:
    """A server on a free port, in a thread of its own."""
    server = NtfyServer()
    loop = asyncio.new_event_loop()
    app = web.Application()
    app.add_routes([web.post("/", server.publish), web.get("/{id}", server.ping)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def stop() -> None:
        server.closing.set()
        await runner.cleanup()

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.port = runner.addresses[0][1]

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, name="ntfy", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
