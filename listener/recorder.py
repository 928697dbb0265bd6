"""From memory to the ledger: one queue, strictly in order, until PostgreSQL has taken it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from listener.parking import Parking
from listener.timing import Timing
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger import channel_log
from rebalancer.ledger.channel_log import Arrival, ChannelHealth, Item, Written
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee

log = structlog.get_logger()

BATCH = 25
FULL = 500
REMEMBERED = 5_000


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What became of a batch.

    Attributes:
        left: refused for a reason of ours, with everything behind it on the same channel; in order.
    """

    written: Written
    done: Sequence[Item]
    left: Sequence[Item]


Addressees = Callable[[], Mapping[str, Iterable[Addressee]]]


class Recorder:
    """Nothing that was put in is dropped or reordered; while PostgreSQL is away it waits in memory.

    Args:
        addressees: asked for each transaction, so that an edited accounts file counts at once.
        on_written: told what each transaction brought; must neither wait nor fail.
    """

    def __init__(
        self, ledger: Ledger, addressees: Addressees, on_written: Callable[[Written], None], timing: Timing
    ) -> None:
        self._ledger = ledger
        self._addressees = addressees
        self._on_written = on_written
        self._timing = timing
        self._queue: deque[Item] = deque()
        self._in_hand: list[Item] = []
        self._parking = Parking(timing)
        self._recorded: dict[tuple[str, str], int] = {}
        self._changed = asyncio.Condition()
        self._filled = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Items that are not on record yet."""
        return len(self._queue) + len(self._in_hand) + len(self._parking)

    def behind(self, channel: str) -> bool:
        """Whether something that the channel brings now would wait."""
        return bool(self._queue or self._in_hand) or channel in self._parking

    def put(self, item: Item) -> None:
        """Queue an item, unless it is a message that we know to be on record: history brings many of those."""
        if isinstance(item, Arrival) and self._recorded.get(_key(item)) == _print(item):
            return
        self._queue.append(item)
        self._filled.set()

    def put_health(self, items: Iterable[ChannelHealth]) -> None:
        """Queue proofs of life; while PostgreSQL is away they would only pile up."""
        if not any(isinstance(waiting, ChannelHealth) for waiting in (*self._in_hand, *self._queue)):
            for item in items:
                self.put(item)

    async def room(self) -> None:
        """Wait until the queue is not too long for a whole page of history."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._queue) < FULL)

    async def drained(self) -> None:
        """Wait until everything is on record."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.waiting)

    async def run(self) -> None:
        """Record for ever. What the ledger refuses waits with what follows on its channel, and delays nothing else."""
        failures = 0
        while True:
            await self._anything_to_do()
            self._in_hand = self._next_batch()
            if not self._in_hand:
                continue
            try:
                attempt = await asyncio.to_thread(self._write, self._in_hand)
            except RecordUnavailable as error:
                failures += 1
                self._queue.extendleft(reversed(self._in_hand))
                self._in_hand = []
                log.error("ledger_unavailable", waiting=self.waiting, tries=failures, error=str(error))
                await asyncio.sleep(self._timing.pause_after(failures))
                continue
            failures = 0
            self._remember(attempt.done)
            self._parking.refused(attempt.left)
            await self._done()
            self._on_written(attempt.written)

    async def _anything_to_do(self) -> None:
        if not self._queue:
            self._filled.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._parking.pause_s):
                await self._filled.wait()

    def _next_batch(self) -> list[Item]:
        self._queue.extendleft(reversed(self._parking.take_due()))
        batch: list[Item] = []
        while self._queue and len(batch) < BATCH:
            item = self._queue.popleft()
            if item.channel in self._parking:
                self._parking.join(item)
            else:
                batch.append(item)
        return batch

    def _remember(self, items: Iterable[Item]) -> None:
        for item in items:
            if isinstance(item, Arrival):
                self._recorded[_key(item)] = _print(item)
        for key in list(self._recorded)[: max(0, len(self._recorded) - REMEMBERED)]:
            del self._recorded[key]

    async def _done(self) -> None:
        self._in_hand = []
        async with self._changed:
            self._changed.notify_all()

    def _write(self, batch: list[Item]) -> _Attempt:
        """In one transaction; if that is refused, in one for each item."""
        try:
            return _Attempt(self._transaction(batch), batch, [])
        except Exception as error:
            if isinstance(error, RecordUnavailable) and error.away:
                raise
            log.error("batch_refused", items=len(batch), error=f"{type(error).__name__}: {error}")
        parts: list[Written] = []
        done: list[Item] = []
        left: list[Item] = []
        for item in batch:
            written = None if any(one.channel == item.channel for one in left) else self._write_alone(item)
            if written is None:
                left.append(item)
            else:
                done.append(item)
                parts.append(written)
        return _Attempt(_joined(parts), done, left)

    def _write_alone(self, item: Item) -> Written | None:
        """Nothing when the ledger refuses it for a reason of ours. A message that no ledger could hold is quarantined
        without its payload.
        """
        try:
            try:
                return self._transaction([item])
            except RecordUnavailable as error:
                if not isinstance(item, Arrival) or not channel_log.is_own_fault(error):
                    raise
                log.error("message_refused", channel=item.channel, message_id=item.message_id, error=str(error))
                remark = f"the database cannot hold it: {type(error.__cause__).__name__}"
                return self._transaction([replace(item, command=None, payload=None, remark=remark)])
        except Exception as error:  # noqa: BLE001 - as above
            log.error(
                "ledger_refuses",
                channel=item.channel,
                item=type(item).__name__,
                error=f"{type(error).__name__}: {error}",
            )
            return None

    def _transaction(self, items: list[Item]) -> Written:
        with self._ledger.begin() as session:
            return channel_log.write(session, items, self._addressees())


def _joined(parts: Sequence[Written]) -> Written:
    return Written(
        tuple(pair for part in parts for pair in part.recorded),
        tuple(item for part in parts for item in part.differing),
        tuple(gap for part in parts for gap in part.gaps),
    )


def _key(arrival: Arrival) -> tuple[str, str]:
    return arrival.channel, arrival.message_id


def _print(arrival: Arrival) -> int:
    """A payload's fingerprint, good for this process."""
    return hash(repr(arrival.payload))
