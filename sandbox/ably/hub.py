"""Channels: what is published, who hears it, and from where an attachment continues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sandbox.ably.attaching import Attachment, AttachPlan, AttachRequest, Continuity, plan_attach
from sandbox.ably.clock import Clock
from sandbox.ably.event_log import EventLog
from sandbox.ably.faults import Faults
from sandbox.ably.options import AblyOptions
from sandbox.ably.publishing import with_ids
from sandbox.ably.serials import ChannelSerial, message_serial, next_position, random_text
from sandbox.ably.store import Batch, HistorySlice, Store
from sandbox.ably.wire import Frame


class Subscriber(Protocol):
    """Whoever hears what is published."""

    def deliver(self, batch: Batch) -> None:
        """Pass the batch on if attached to its channel; must neither wait nor fail."""


@dataclass(frozen=True, slots=True)
class Published:
    """The outcome of a publish, the same for its repetitions."""

    id: str
    serials: tuple[str, ...]


class Hub:
    """The realtime and the REST side meet here.

    Nothing in it awaits: a publish is stored and handed to all subscribers in one step, and so is an attachment's
    answer with its replay, which is why replay and live messages neither overlap nor leave a gap.
    """

    def __init__(self, options: AblyOptions, clock: Clock, store: Store, log: EventLog, faults: Faults) -> None:
        self._options = options
        self._clock = clock
        self._store = store
        self._log = log
        self._faults = faults
        self.subscribers: list[Subscriber] = []

    def publish(
        self, channel: str, items: Sequence[Frame], *, base_id: str | None = None, connection_id: str | None = None
    ) -> Published:
        """Store messages and hand them to the subscribers, unless they were published before.

        Args:
            items: wire messages; whatever they hold is kept, what they lack (id, timestamp, serial) is added.
            base_id: for the ids of messages that have none; a repetition under the same ids is recognised.

        Raises:
            AblyError: ids that cannot be told apart from another publish's.
        """
        batch_id, named = with_ids(items, base_id or random_text(12))
        known = self._store.batch_of(channel, named[0]["id"], self._ago(self._options.idempotency_window_s))
        if known is not None:
            self._log.record("publish_repeated", channel=channel, ids=[item["id"] for item in named])
            return _published(known)
        batch = self._complete(channel, batch_id, named, connection_id)
        self._store.append(batch)
        self._store.purge(self._ago(self._options.history_window_s))
        self._log.record("publish", channel=channel, ids=[item["id"] for item in batch.items])
        if self._faults.gaps.take(channel):
            self._store.break_series(channel)
            self._log.record("gap", channel=channel, position=batch.position)
        else:
            self.fan_out(batch)
        return _published(batch)

    def fan_out(self, batch: Batch) -> None:
        for subscriber in tuple(self.subscribers):
            subscriber.deliver(batch)

    def attach(self, request: AttachRequest, current: Attachment | None) -> tuple[AttachPlan, list[Batch]]:
        """The answer to an ATTACH and the batches that follow it."""
        refuse = self._faults.refused_attaches.take(request.channel)
        plan = plan_attach(request, current, self._continuity(request.channel), refuse=refuse)
        replay = self._replay(request, plan)
        if replay and not plan.resumed:
            plan = replace(plan, attachment=self._before(plan.attachment, replay[0]))
        return plan, replay

    def renewed(self, attachment: Attachment) -> Attachment:
        """The attachment as it stands after a discontinuity that the client is told about: at the newest position."""
        offered = self._continuity(attachment.channel)
        return replace(attachment, serial=ChannelSerial(offered.newest, offered.series))

    def history(self, wanted: HistorySlice) -> list[tuple[tuple[str, int], Frame]]:
        """As `Store.history`, within the history window."""
        start = max(wanted.start_ms, self._ago(self._options.history_window_s))
        return self._store.history(replace(wanted, start_ms=start))

    def _replay(self, request: AttachRequest, plan: AttachPlan) -> list[Batch]:
        if plan.resumed:
            return self._store.after(request.channel, plan.attachment.serial.position)
        if plan.error is not None and self._faults.replay_after_loss:
            return self._store.after(request.channel, self._continuity(request.channel).forgotten)
        if request.rewind is None:
            return []
        window_s = self._options.history_window_s if request.rewind.seconds is None else request.rewind.seconds
        since = self._ago(min(window_s, self._options.history_window_s))
        return self._store.newest(request.channel, request.rewind.limit, since)

    def _before(self, attachment: Attachment, batch: Batch) -> Attachment:
        """Standing just before a batch, so that a client that drops during its replay gets the rest on resuming."""
        earlier = self._store.position_before(batch.channel, batch.position)
        return replace(attachment, serial=replace(attachment.serial, position=earlier))

    def _continuity(self, channel: str) -> Continuity:
        oldest = max(self._ago(self._options.resume_window_s), self._ago(self._options.history_window_s))
        return Continuity(
            self._store.series(channel), self._store.newest_position(), self._store.forgotten(channel, oldest)
        )

    def _complete(self, channel: str, batch_id: str, named: Sequence[Frame], connection_id: str | None) -> Batch:
        position = next_position(self._store.newest_position(), self._clock.now_ms())
        serial, at_ms = ChannelSerial(position, self._store.series(channel)), int(position[:14])
        origin = {"connectionId": connection_id} if connection_id else {}
        items = []
        for index, item in enumerate(named):
            own = message_serial(serial, index)
            version = {"serial": own, "timestamp": at_ms}
            items.append({"timestamp": at_ms, "serial": own, "version": version, "action": 0} | origin | dict(item))
        return Batch(channel, position, batch_id, connection_id, tuple(items))

    def _ago(self, seconds: float) -> int:
        return self._clock.now_ms() - round(seconds * 1000)


def _published(batch: Batch) -> Published:
    return Published(batch.id, tuple(item["serial"] for item in batch.items))
