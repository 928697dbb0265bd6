"""The listener as a whole: its parts, how they are wired, and in which order they end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import structlog

from listener.channel import Flow
from listener.connection import Line
from listener.followers import Roster
from listener.gaps import COMMANDS, GapKeeper
from listener.history import History
from listener.publisher import Publisher
from listener.recorder import Recorder
from listener.sdk_errors import sdk_complaints
from listener.sdk_options import realtime_options, rest_options
from listener.timing import Timing
from rebalancer.allocations import AllocationsClient
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger import channel_log
from rebalancer.ledger.channel_log import ChannelHealth, Written
from rebalancer.ledger.session import Session
from rebalancer.services import Services

log = structlog.get_logger()

T = TypeVar("T")


class Listener:
    """Made inside a running loop; connects when run.

    Raises:
        ConfigurationError: a key is missing, or the accounts cannot be read.
    """

    def __init__(self, services: Services, timing: Timing | None = None) -> None:
        settings = services.settings
        self._services = services
        self._timing = timing or Timing()
        self._roster = Roster(services)
        self._history = History(rest_options(settings.signals), self._timing.history_timeout)
        self._publisher = Publisher(services.dispatcher)
        self._recorder = Recorder(services.ledger, self._roster.addressees, self._on_written, self._timing)
        self._line = Line(realtime_options(settings.signals), self._timing)
        command = COMMANDS.get(settings.signals.catch_up_after_gap)
        self._gaps = GapKeeper(
            services.ledger,
            self._roster,
            self._publisher,
            self._timing,
            command=command,
            targets=AllocationsClient.of(settings.signals) if command else None,
        )
        self._flows: dict[str, tuple[Flow, asyncio.Task[None]]] = {}
        self._following = asyncio.Event()
        self._rostered = asyncio.Event()
        self._heard: dict[str, datetime] = {}
        self._deaf: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until told to stop; then put on record what was received, within a bounded time."""
        async with asyncio.TaskGroup() as group:
            recording = [group.create_task(self._recorder.run()), group.create_task(self._publisher.run())]
            hearing = [group.create_task(each) for each in self._hearing(group)]
            with sdk_complaints(self._doubt):
                await stop.wait()
            log.info("stopping", waiting=self._recorder.waiting)
            for task in (*hearing, *(task for _, task in self._flows.values())):
                task.cancel()
            await self._line.close()
            await self._drain()
            for task in recording:
                task.cancel()
        await self._history.close()
        log.info("stopped")

    def _hearing(self, group: asyncio.TaskGroup) -> list[Any]:
        return [
            self._hear(group),
            self._keep_channels(group),
            self._roster.watch(self._rostered.set, self._timing),
            self._sweep(),
            self._report_health(),
            self._gaps.run(),
        ]

    async def _hear(self, group: asyncio.TaskGroup) -> None:
        """The baseline of each channel is on record before it is subscribed to."""
        followed = self._roster.strategies
        for channel in await self._in_ledger(lambda session: channel_log.leave_others(session, followed)):
            log.info("left", channel=channel)
        await self._follow_roster(group)
        self._following.set()
        await self._line.run()

    async def _keep_channels(self, group: asyncio.TaskGroup) -> None:
        """Follow what the accounts follow, whenever that changes."""
        await self._following.wait()
        while True:
            await self._rostered.wait()
            self._rostered.clear()
            await self._follow_roster(group)

    async def _follow_roster(self, group: asyncio.TaskGroup) -> None:
        wanted = set(self._roster.strategies)
        if not wanted:
            log.warning("no_strategy", reason="no enabled account of this trading mode")
        for channel in sorted(set(self._flows) - wanted):
            await self._leave(channel)
        now = await self._history.now() if wanted - set(self._flows) else datetime.now(UTC)
        for channel in sorted(wanted - set(self._flows)):
            await self._follow(channel, now, group)

    async def _follow(self, channel: str, now: datetime, group: asyncio.TaskGroup) -> None:
        followed = await self._in_ledger(lambda session: channel_log.follow(session, channel, now))
        flow = Flow(followed, self._history, self._recorder, self._services.settings.signals, self._timing)
        self._flows[channel] = (flow, group.create_task(flow.run()))
        self._line.follow(flow)
        log.info("following", channel=channel, baseline_at=followed.baseline_at, heard_until=followed.heard_until)

    async def _leave(self, channel: str) -> None:
        flow, task = self._flows.pop(channel)
        self._line.unfollow(channel)
        task.cancel()
        flow.release()
        await self._in_ledger(lambda session: channel_log.leave(session, channel))
        log.info("left", channel=channel)

    async def _sweep(self) -> None:
        """Read history in any case: it repairs what the SDK loses without a word."""
        while True:
            await asyncio.sleep(self._services.settings.signals.history_sweep_s)
            for flow, _ in self._flows.values():
                flow.read_history()

    async def _report_health(self) -> None:
        """Soon after a change, but not for each of many; and in any case as a proof of life."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.health_every):
                    await self._line.changed.wait()
            await asyncio.sleep(self._timing.health_pause)
            self._line.changed.clear()
            healths = self._line.healths()
            self._recorder.put_health(healths)
            self._tell_deafness(healths)
            if not healths:
                self._prove()

    def _tell_deafness(self, healths: list[ChannelHealth]) -> None:
        now = datetime.now(UTC)
        oldest = now - timedelta(seconds=self._timing.deaf_after)
        self._heard = {each.channel: each.heard_until or self._heard.get(each.channel, now) for each in healths}
        deaf = {each.channel: each for each in healths if self._heard[each.channel] < oldest}
        for channel in sorted(deaf.keys() - self._deaf):
            log.error("deaf", channel=channel, since=self._heard[channel].isoformat(), trouble=deaf[channel].trouble)
        for channel in sorted(self._deaf - deaf.keys()):
            log.warning("hears_again", channel=channel)
        self._deaf = set(deaf)

    def _prove(self) -> None:
        """That it hears, and that the ledger takes what it hears."""
        if not self._deaf:
            self._services.settings.files.proof.give()

    def _doubt(self) -> None:
        for flow, _ in self._flows.values():
            flow.doubt()

    def _on_written(self, written: Written) -> None:
        for arrival, recorded in written.recorded:
            level = log.info if arrival.remark is None else log.warning
            level(
                "signal_recorded",
                channel=arrival.channel,
                message_id=arrival.message_id,
                command=arrival.command and str(arrival.command),
                remark=arrival.remark,
                accounts=[served.account_id for served in recorded.served],
            )
        for arrival in written.differing:
            log.warning("same_id_other_payload", channel=arrival.channel, message_id=arrival.message_id)
        self._prove()
        self._gaps.put(written.gaps)
        self._publisher.put(channel_log.event_ids(written))

    async def _drain(self) -> None:
        """What waits behind a gate goes on record too: its place in the order matters less than its loss."""
        for flow, _ in self._flows.values():
            flow.release()
        try:
            async with asyncio.timeout(self._timing.drain):
                await self._recorder.drained()
        except TimeoutError:
            log.error("left_unrecorded", items=self._recorder.waiting, remedy="history brings them at the next start")
        await self._publisher.flush()

    async def _in_ledger(self, work: Callable[[Session], T]) -> T:
        """Run one transaction, for as long as it takes PostgreSQL to come back."""
        failures = 0
        while True:
            try:
                return await asyncio.to_thread(self._transact, work)
            except RecordUnavailable as error:
                failures += 1
                log.error("ledger_unavailable", tries=failures, error=str(error))
                await asyncio.sleep(self._timing.pause_after(failures))

    def _transact(self, work: Callable[[Session], T]) -> T:
        with self._services.ledger.begin() as session:
            return work(session)
