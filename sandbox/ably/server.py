"""The stand-in as a server: its sockets, and the faults of the network beneath it."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from aiohttp import web

from sandbox.ably.auth import Authenticator
from sandbox.ably.clock import Clock
from sandbox.ably.connections import Connections
from sandbox.ably.event_log import EventLog
from sandbox.ably.faults import Faults
from sandbox.ably.frame_writer import reset
from sandbox.ably.hub import Hub
from sandbox.ably.knobs import Knobs
from sandbox.ably.options import AblyOptions
from sandbox.ably.realtime import Realtime
from sandbox.ably.rest import Rest
from sandbox.ably.session import Services
from sandbox.ably.store import Store


class AblyServer(Knobs):
    """A local Ably, for the unmodified SDK.

    ``async with AblyServer(AblyOptions(...)) as server`` and then ``AblyRealtime(**server.sdk_options())``.
    All methods belong to the loop that started it.
    """

    def __init__(self, options: AblyOptions | None = None) -> None:
        self.options = options or AblyOptions()
        clock, store = Clock(), Store(self.options.data)
        wall_clock = Clock()  # never advanced: token requests carry the time of the client, who knows nothing of ours
        log, faults = EventLog(clock), Faults()
        services = Services(
            hub=Hub(self.options, clock, store, log, faults),
            auth=Authenticator(self.options.key, wall_clock),
            connections=Connections(clock, self.options.connection_ttl_s),
            clock=wall_clock,
            log=log,
            faults=faults,
        )
        super().__init__(services, store, Realtime(services, self.options), clock)
        self._rest = Rest(services)
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._thaw_timer: asyncio.TimerHandle | None = None
        self._return: asyncio.Task[None] | None = None
        self._port = self.options.port

    @property
    def port(self) -> int:
        """The port listened on; 0 until started, if a free one was asked for."""
        return self._port

    @property
    def url(self) -> str:
        return f"http://{self.options.host}:{self.port}"

    @property
    def endpoint(self) -> str:
        """The SDK's ``endpoint``; its slash makes one value serve REST and realtime, which ignores ``port``."""
        return f"{self.options.host}:{self.port}/"

    def sdk_options(self) -> dict[str, Any]:
        """Arguments for AblyRealtime and AblyRest; over plain HTTP the SDK refuses REST with a key, hence tokens."""
        return {"key": self.options.key, "endpoint": self.endpoint, "tls": False, "use_token_auth": True}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Raises OSError if the address is taken."""
        try:
            await self._start()
        except OSError:
            await self.stop()
            raise

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await self._listen(self._runner)

    async def stop(self) -> None:
        """Reset all connections and close the data file."""
        if self._return is not None:
            self._return.cancel()
        self.thaw()
        if self._runner is not None:
            self._reset_all(self._runner)
            await self._runner.cleanup()
            self._runner = None
        self._store.close()

    def drop(self, connection: str | None = None) -> None:
        """Reset TCP connections: of one client, or of all, REST included."""
        self._fault("drop", connection=connection)
        if connection is None and self._runner is not None:
            self._reset_all(self._runner)
            return
        for session in self._chosen(connection):
            session.pump.abort()

    def freeze(self, seconds: float) -> None:
        """Become a black hole: connections are accepted and kept, but nothing is read, answered or sent."""
        self._fault("freeze", seconds=seconds)
        self._services.faults.thawed.clear()
        for transport in self._transports():
            transport.pause_reading()
        if self._thaw_timer is not None:
            self._thaw_timer.cancel()
        self._thaw_timer = asyncio.get_running_loop().call_later(seconds, self.thaw)

    def thaw(self) -> None:
        """End a freeze; what was held back arrives now, as after a lost route."""
        if self._thaw_timer is not None:
            self._thaw_timer.cancel()
            self._thaw_timer = None
        self._services.faults.thawed.set()
        for transport in self._transports():
            transport.resume_reading()

    async def go_down(self, seconds: float | None = None) -> None:
        """Stop listening and reset all connections; come back after so many seconds, or when told to."""
        self._fault("go_down", seconds=seconds)
        if self._return is not None:
            self._return.cancel()
            self._return = None
        if self._site is not None:
            await self._site.stop()
            self._site = None
        if self._runner is not None:
            self._reset_all(self._runner)
        if seconds is not None:
            self._return = asyncio.create_task(self._come_up_after(seconds))

    async def come_up(self) -> None:
        """Listen again on the same port; does nothing if it listens."""
        if self._site is None and self._runner is not None:
            await self._listen(self._runner)
            self.log.record("listening", port=self.port)

    async def _come_up_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.come_up()

    async def _listen(self, runner: web.AppRunner) -> None:
        self._site = web.TCPSite(runner, self.options.host, self._port)
        await self._site.start()
        self._port = int(runner.addresses[0][1])

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        await self._services.faults.thawed.wait()
        if request.transport is None or request.transport.is_closing():
            return web.Response(status=503)  # the client gave up meanwhile; nobody reads this
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._realtime.handle(request)
        return await self._rest.handle(request)

    def _transports(self) -> list[asyncio.Transport]:
        server = self._runner.server if self._runner else None
        found = [connection.transport for connection in server.connections] if server else []
        return [transport for transport in found if isinstance(transport, asyncio.Transport)]

    def _reset_all(self, runner: web.AppRunner) -> None:
        for connection in runner.server.connections if runner.server else []:
            if connection.transport is not None:
                reset(connection.transport)
