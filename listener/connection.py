"""The one connection to Ably, whichever client serves it at the moment, and the watch over it.

The SDK's client can be deaf while it says that it is connected. So it is pinged, and replaced when it does not answer,
when it has given up, or when a channel does not become attached.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from listener.ably_client import Link
from listener.channel import Flow
from listener.messages import Message
from listener.timing import Timing
from rebalancer.ledger.channel_log import ChannelHealth

log = structlog.get_logger()

GIVEN_UP = frozenset({"failed", "closed", "suspended"})
REFUSED = frozenset({"failed", "detached"})


@dataclass(slots=True)
class Attachment:
    """One channel on the client of the moment; times are the loop's, ``since`` is for people."""

    flow: Flow
    state: str = "initialized"
    changed_at: float = 0.0
    fresh: bool = True
    since: datetime | None = None


@dataclass(slots=True)
class AblyClient:
    """The client of the moment; ``lost_at`` is when it was made or was connected last."""

    link: Link
    lost_at: float
    state: str = "connecting"
    reason: str | None = None
    answered_at: datetime | None = None


@dataclass(slots=True)
class Backoff:
    """Pauses between new clients that do not help either."""

    timing: Timing
    failures: int = 0
    not_before: float = field(default=0.0)

    def note_rebuild(self, now: float) -> None:
        """Wait longer before the next one."""
        self.failures += 1
        pause = self.timing.rebuild_pause * 2 ** (self.failures - 1)
        self.not_before = now + min(pause, self.timing.longest_pause)

    def note_success(self) -> None:
        """It helped."""
        self.failures, self.not_before = 0, 0.0


class Line:
    """Implements :class:`listener.ably_client.Ear` for whichever link is the current one.

    Attributes:
        changed: set when connection or channels changed; whoever looked clears it.
    """

    def __init__(self, options: Mapping[str, Any], timing: Timing) -> None:
        self._options = options
        self._timing = timing
        self._loop = asyncio.get_running_loop()
        self._attachments: dict[str, Attachment] = {}
        self._client: AblyClient | None = None
        self._backoff = Backoff(timing)
        self._alarm = asyncio.Event()
        self._wanted: str | None = None
        self.changed = asyncio.Event()
        self._farewells: set[asyncio.Task[None]] = set()

    def follow(self, flow: Flow) -> None:
        """Listen to a channel."""
        self._attachments[flow.channel] = Attachment(flow, changed_at=self._loop.time())
        if self._client:
            self._client.link.follow(flow.channel, flow.rewind_s())

    def unfollow(self, channel: str) -> None:
        """Stop listening to one."""
        del self._attachments[channel]
        if self._client:
            self._client.link.unfollow(channel)

    def healths(self) -> list[ChannelHealth]:
        """How each channel is heard."""
        return [self._health(each) for each in self._attachments.values()]

    async def run(self) -> None:
        """Connect, watch, replace; for ever."""
        await self._rebuild("start")
        while True:
            await self._pause()
            reason = await self._wrong()
            if reason is not None and self._loop.time() >= self._backoff.not_before:
                await self._rebuild(reason)

    async def close(self) -> None:
        """Disconnect; nothing is heard afterwards."""
        client, self._client = self._client, None
        if client is not None:
            await client.link.close()
        await asyncio.gather(*self._farewells)

    def on_message(self, link: Link, message: Message) -> None:
        """A live message; one that a replaced client still delivers is found in history."""
        attachment = self._attachments.get(message.channel)
        if attachment is None or not self._is_current(link):
            return
        if attachment.state != "attached":
            attachment.flow.doubt()  # the SDK overlooked an ATTACHED, and with it perhaps a loss of continuity
        attachment.flow.hear(message)

    def on_connection(self, link: Link, state: str, reason: str | None) -> None:
        """The SDK's idea of the connection."""
        client = self._client
        if client is None or client.link is not link:
            return
        if client.state == "connected":
            client.lost_at = self._loop.time()
        client.state, client.reason = state, reason
        level = log.info if state in ("connected", "connecting") else log.warning
        level("connection", state=state, reason=reason)
        self.changed.set()
        if state in GIVEN_UP:
            self._alarm.set()

    def on_channel(self, link: Link, channel: str, state: str, *, lossless: bool) -> None:
        """The SDK's idea of a channel; one that lost continuity has its gate shut before the next message."""
        attachment = self._attachments.get(channel)
        if attachment is None or not self._is_current(link):
            return
        if state != attachment.state:
            attachment.changed_at = self._loop.time()
            attachment.since = datetime.now(UTC) if state == "attached" else None
            log.info("channel", channel=channel, state=state, lossless=lossless)
            self.changed.set()
        attachment.state = state
        if not lossless:
            self._interrupted(attachment)
        if state == "attached":
            attachment.fresh = False
            if all(each.state == "attached" for each in self._attachments.values()):
                self._backoff.note_success()

    def _interrupted(self, attachment: Attachment) -> None:
        """History makes up for what was missed; without it, the rewind of a new client's attachments."""
        if attachment.fresh or not attachment.flow.history_denied:
            attachment.flow.interrupted(fresh=attachment.fresh)
            return
        attachment.flow.lost()
        self._wanted = f"continuity of {attachment.flow.channel} is lost, and history is not allowed"
        self._alarm.set()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.ping_every):
                await self._alarm.wait()
        self._alarm.clear()

    async def _wrong(self) -> str | None:
        """Why a new client is needed, if it is."""
        client = self._client
        if client is None or self._wanted:
            return self._wanted or "no client"
        silent_s = self._loop.time() - client.lost_at
        if client.state in GIVEN_UP:
            return f"client is {client.state}"
        if client.state != "connected":
            return f"not connected for {silent_s:.0f} s" if silent_s > self._timing.unconnected else None
        if not (await self._answers(client) or await self._answers(client)):
            return "ping is not answered" if client.state == "connected" else None
        return self._unattached()

    async def _answers(self, client: AblyClient) -> bool:
        asked_at = datetime.now(UTC)
        if not await client.link.ping(self._timing.ping_timeout):
            return False
        client.answered_at = asked_at
        return True

    def _unattached(self) -> str | None:
        """A channel that hangs; one that the server refused is asked for again instead."""
        for channel, each in self._attachments.items():
            waiting_s = self._loop.time() - each.changed_at
            if each.state == "attached" or waiting_s <= self._timing.unattached:
                continue
            if each.state not in REFUSED:
                return f"channel {channel} is {each.state} for {waiting_s:.0f} s"
            each.changed_at = self._loop.time()
            if self._client:
                self._client.link.reattach(channel)
        return None

    async def _rebuild(self, reason: str) -> None:
        self._wanted = None
        self._backoff.note_rebuild(self._loop.time())
        level = log.info if reason == "start" else log.warning
        level("client_started", reason=reason, channels=len(self._attachments))
        if self._client is not None:
            farewell = self._loop.create_task(self._client.link.close())
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)
        rewinds = {channel: each.flow.rewind_s() for channel, each in self._attachments.items()}
        link = Link(self._options, rewinds, self, self._timing.goodbye)
        self._client = AblyClient(link, self._loop.time())
        for each in self._attachments.values():
            each.state, each.changed_at, each.fresh, each.since = "initialized", self._loop.time(), True, None
        await link.start()

    def _is_current(self, link: Link) -> bool:
        return self._client is not None and self._client.link is link

    def _health(self, each: Attachment) -> ChannelHealth:
        connected = self._client is not None and self._client.state == "connected"
        heard = self._client.answered_at if self._client and connected and each.state == "attached" else None
        trouble = None if each.state == "attached" else f"channel is {each.state}"
        if self._client and not connected:
            trouble = f"connection is {self._client.state}: {self._client.reason or 'no reason given'}"
        return each.flow.health(heard, each.since, trouble)
