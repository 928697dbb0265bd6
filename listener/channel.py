"""One channel's messages in order: what history holds, then what arrives live.

Between losing continuity and having read history the gate is shut: live messages wait, so that they are recorded after
those that were missed. The gate shuts in the same step in which the loss becomes known, before any later message.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from listener.ably_client import REWIND_S
from listener.history import History, HistoryDenied, HistoryUnavailable
from listener.messages import Message, arrival, from_history
from listener.recorder import Recorder
from listener.timing import Timing
from rebalancer.config.signal_settings import SignalSettings
from rebalancer.ledger.channel_log import CaughtUp, ChannelHealth, Followed

log = structlog.get_logger()

NOTHING = timedelta()


class Flow:
    """Everything about one channel but its connection."""

    def __init__(
        self, followed: Followed, history: History, recorder: Recorder, settings: SignalSettings, timing: Timing
    ) -> None:
        self.channel = followed.channel
        self._baseline = followed.baseline_at
        self._complete_at = followed.complete_at
        self._history = history
        self._recorder = recorder
        self._timing = timing
        self._overlap = timedelta(seconds=settings.history_overlap_s)
        self._window = timedelta(seconds=settings.history_window_s)
        self._max_age = timedelta(seconds=settings.signal_max_age_s)
        self._buffer: list[Message] | None = []
        self._release_timer: asyncio.TimerHandle | None = None
        self._asked = asyncio.Event()
        self._asked_no = 0
        self._whole = False
        self._covered: timedelta | None = None
        self.history_trouble: str | None = None
        self.history_denied = False

    @property
    def whole(self) -> bool:
        """Nothing is missing, as far as we know: history was read since continuity was lost last."""
        return self._whole

    def rewind_s(self) -> int:
        """How far a fresh attachment may reach back without going behind the baseline."""
        return min(REWIND_S, max(0, int((datetime.now(UTC) - self._baseline).total_seconds())))

    def hear(self, message: Message) -> None:
        """Take a live message."""
        if self._buffer is None:
            self._record(message)
        else:
            self._buffer.append(message)

    def interrupted(self, *, fresh: bool) -> None:
        """Continuity was lost: shut the gate and read history.

        Args:
            fresh: the attachment is a new client's, and has been rewound.
        """
        self._whole = False
        self._covered = min(self._window, timedelta(seconds=REWIND_S)) if fresh else NOTHING
        self.doubt()

    def lost(self) -> None:
        """Continuity was lost, and only a fresh attachment can make up for it."""
        self._whole = False

    def doubt(self) -> None:
        """Something may be missing although nobody says so: shut the gate and read history."""
        if self._buffer is None:
            self._buffer = []
        if self._release_timer is None:
            self._release_timer = asyncio.get_running_loop().call_later(self._timing.gate, self._grow_impatient)
        self.read_history()

    def read_history(self) -> None:
        """Read history soon, with the gate as it is."""
        self._asked_no += 1
        self._asked.set()

    def release(self) -> None:
        """Open the gate."""
        if self._release_timer is not None:
            self._release_timer.cancel()
            self._release_timer = None
        waiting, self._buffer = self._buffer or [], None
        for message in waiting:
            self._record(message)

    def health(
        self, heard_until: datetime | None, attached_since: datetime | None, trouble: str | None
    ) -> ChannelHealth:
        """For the record; not heard while something may be missing."""
        return ChannelHealth(
            self.channel, heard_until if self._whole else None, attached_since, trouble or self.history_trouble
        )

    async def run(self) -> None:
        """Read history whenever it is asked for, again and again until that succeeds."""
        failures = 0
        while True:
            await self._asked.wait()
            self._asked.clear()
            asked_no = self._asked_no
            try:
                await self._read()
            except HistoryUnavailable as problem:
                failures += 1
                self._tell_trouble(f"history cannot be read: {problem}")
                self._asked.set()
                await asyncio.sleep(self._timing.pause_after(failures))
                continue
            failures = 0
            if asked_no == self._asked_no:
                self._whole, self._covered = True, None
                self.release()

    async def _read(self) -> None:
        began = datetime.now(UTC)
        since = max(self._baseline, self._complete_at - self._overlap)
        until: datetime | None = None
        try:
            async for page in self._history.pages(self.channel, since):
                until = until or page.at
                for item in page.items:
                    self._record(from_history(self.channel, item))
                await self._recorder.room()
        except HistoryDenied as problem:
            self.history_denied = True
            self._tell_trouble(f"history may not be read: {problem}", lasting=True)
            if self._covered is not None:
                self._recorder.put(CaughtUp(self.channel, None, began, self._covered))
            return
        self.history_denied = False
        self._tell_trouble(None)
        self._complete_at = max(self._complete_at, until or self._complete_at)
        self._recorder.put(CaughtUp(self.channel, self._complete_at, began, self._window))

    def _record(self, message: Message) -> None:
        """A rewound attachment may bring what was published before anybody followed the channel: that is not for us."""
        if message.published_at is not None and message.published_at < self._baseline:
            log.info("before_the_baseline", channel=self.channel, message_id=message.id)
            return
        self._recorder.put(arrival(message, datetime.now(UTC), self._max_age))

    def _grow_impatient(self) -> None:
        """A signal that is heard is worth more than its place in the order, unless it could not be recorded anyway."""
        self._release_timer = None
        if self._recorder.behind(self.channel):
            self._release_timer = asyncio.get_running_loop().call_later(self._timing.gate, self._grow_impatient)
            return
        log.warning("gate_opened_early", channel=self.channel, messages=len(self._buffer or []))
        self.release()

    def _tell_trouble(self, trouble: str | None, *, lasting: bool = False) -> None:
        if trouble and trouble != self.history_trouble:
            (log.error if lasting else log.warning)("history_trouble", channel=self.channel, trouble=trouble)
        elif self.history_trouble and not trouble:
            log.info("history_works_again", channel=self.channel)
        self.history_trouble = trouble
