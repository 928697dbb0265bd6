"""One client of the SDK, in a thread with an event loop of its own.

The SDK sometimes blocks its loop (a synchronous check of the connectivity) and, when it goes wrong, leaves tasks behind
that reconnect later. In its own thread it can do neither harm: ending the loop ends everything that it left.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections import deque
from collections.abc import Mapping
from threading import Thread
from typing import Any, Protocol

import structlog
from ably import AblyRealtime
from ably.types.channelstate import ChannelState, ChannelStateChange
from ably.types.connectionstate import ConnectionStateChange

from listener.messages import Message, from_sdk
from listener.threads import in_daemon_thread

log = structlog.get_logger()

REWIND_S = 120
"""How far a fresh attachment reaches back; works where history is not allowed."""


class Ear(Protocol):
    """Whoever hears a link; called in the loop that made it, in the order in which things happened."""

    def on_message(self, link: Link, message: Message) -> None: ...
    def on_connection(self, link: Link, state: str, reason: str | None) -> None: ...
    def on_channel(self, link: Link, channel: str, state: str, *, lossless: bool) -> None: ...


class Link:
    """Connects when started, and stays an SDK client with all its weaknesses until closed.

    Args:
        channels: seconds to rewind by channel; 0 for a channel that has no past.
    """

    def __init__(self, options: Mapping[str, Any], channels: Mapping[str, int], ear: Ear, goodbye_s: float) -> None:
        self._options = options
        self._channels = dict(channels)
        self._ear = ear
        self._goodbye_s = goodbye_s
        self._home = asyncio.get_running_loop()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="ably", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._client: AblyRealtime
        self._stop: asyncio.Event
        self._up: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._up.set_running_or_notify_cancel()  # who waits for it may be cancelled; the client goes on to the end
        self._requests: set[asyncio.Task[None]] = set()
        self._transports: deque[Any] = deque(maxlen=4)

    async def start(self) -> None:
        """Begin to connect."""
        self._thread.start()
        await asyncio.wrap_future(self._up)

    def follow(self, channel: str, rewind_s: int) -> None:
        """Listen to one more channel."""
        self._call(lambda: self._subscribe(channel, rewind_s))

    def unfollow(self, channel: str) -> None:
        """Stop listening to one."""
        self._call(lambda: self._release(channel))

    def reattach(self, channel: str) -> None:
        """Try again to attach a channel that the server refused."""
        self._call(lambda: self._spawn(self._client.channels.get(channel).attach()))

    async def ping(self, timeout_s: float) -> bool:
        """Whether the server answers in time; the SDK's own idea of being connected can be wrong."""
        try:
            async with asyncio.timeout(timeout_s):  # wait_for can lose a cancellation, up to Python 3.11
                return await asyncio.wrap_future(self._submit(self._ping()))
        except TimeoutError:
            return False

    async def close(self) -> None:
        """Say goodbye within a bounded time and end; a client that cannot is abandoned."""
        await in_daemon_thread(self._end)

    def _end(self) -> None:
        concurrent.futures.wait([self._up], self._goodbye_s)
        if self._up.done() and self._up.exception() is None:
            self._call(self._stop.set)
        self._thread.join(2 * self._goodbye_s)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_note_leftover)
        self._stop = asyncio.Event()
        try:
            self._client = AblyRealtime(**self._options)
        except BaseException as problem:
            self._up.set_exception(problem)
            raise
        self._client.connection.on(self._on_connection)
        self._client.connection.connection_manager.on("transport.pending", self._note_transport)
        for channel, rewind_s in self._channels.items():
            self._subscribe(channel, rewind_s)
        self._up.set_result(None)
        await self._stop.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._goodbye_s):
                await _quietly(self._client.close())
        self._hang_up()
        await asyncio.sleep(0)  # lets the loop close the sockets

    def _subscribe(self, channel: str, rewind_s: int) -> None:
        params = {"params": {"rewind": f"{rewind_s}s"}} if rewind_s else {}
        handle = self._client.channels.get(channel, **params)

        def on_change(change: ChannelStateChange) -> None:
            lossless = change.current != ChannelState.ATTACHED or change.resumed
            self._tell(lambda: self._ear.on_channel(self, channel, str(change.current.value), lossless=lossless))

        def on_message(message: Any) -> None:
            heard = from_sdk(channel, message)
            self._tell(lambda: self._ear.on_message(self, heard))

        handle.on(on_change)
        self._spawn(handle.subscribe(on_message))
        # Without a listener for it, a message named "error" is lost together with the rest of its batch.
        self._spawn(handle.subscribe("error", _ignore))

    def _release(self, channel: str) -> None:
        handle = self._client.channels.get(channel)
        handle.off()
        handle.unsubscribe()
        self._spawn(handle.detach())

    def _note_transport(self, transport: Any) -> None:
        self._transports.append(transport)

    def _hang_up(self) -> None:
        """End connections to a server that does not answer a farewell, which the SDK would leave open."""
        for transport in self._transports:
            if transport.websocket is not None:
                transport.websocket.transport.abort()

    def _on_connection(self, change: ConnectionStateChange) -> None:
        reason = None if change.reason is None else f"{type(change.reason).__name__}: {change.reason}"
        self._tell(lambda: self._ear.on_connection(self, str(change.current.value), reason))

    async def _ping(self) -> bool:
        # A client without a transport raises whatever its socket raises, not only the SDK's own errors.
        try:
            await self._client.connection.ping()
        except Exception:  # noqa: BLE001
            return False
        return True

    def _spawn(self, request: Any) -> None:
        """Start a request of the SDK; how it ends is told by the states of connection and channel."""
        task = self._loop.create_task(_quietly(request))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    def _tell(self, news: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the listener's own loop has ended
            self._home.call_soon_threadsafe(news)

    def _call(self, action: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the client's loop has ended
            self._loop.call_soon_threadsafe(action)

    def _submit(self, request: Any) -> concurrent.futures.Future[bool]:
        try:
            return asyncio.run_coroutine_threadsafe(request, self._loop)
        except RuntimeError:  # as above
            request.close()
            unanswered: concurrent.futures.Future[bool] = concurrent.futures.Future()
            unanswered.set_result(False)
            return unanswered


async def _quietly(request: Any) -> None:
    """The SDK's requests raise anything, ``TypeError`` included; what counts are the states."""
    try:
        await request
    except Exception as problem:  # noqa: BLE001
        log.debug("sdk_request_failed", error=f"{type(problem).__name__}: {problem}")


def _ignore(_message: Any) -> None:
    """Exists so that somebody listens."""


def _note_leftover(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a task of the SDK died of after everybody had lost interest."""
    log.debug("sdk_leftover", error=str(context.get("exception") or context.get("message")))
