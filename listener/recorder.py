"""From memory to the ledger: one queue, strictly in order, until PostgreSQL has taken it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import structlog

from listener.timing import Timing
from rebalancer.ledger import inbox
from rebalancer.ledger.inbox import Arrival, Health, Item, Written
from rebalancer.ledger.intake import Addressee
from rebalancer.ledger.session import Ledger, LedgerError

log = structlog.get_logger()

BATCH = 25
FULL = 500
REMEMBERED = 5_000

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
        self._recorded: dict[tuple[str, str], int] = {}
        self._changed = asyncio.Condition()
        self._filled = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Items that are not on record yet."""
        return len(self._queue)

    def put(self, item: Item) -> None:
        """Queue an item, unless it is a message that we know to be on record: history brings many of those."""
        if isinstance(item, Arrival) and self._recorded.get(_key(item)) == _print(item):
            return
        self._queue.append(item)
        self._filled.set()

    def put_health(self, items: Iterable[Health]) -> None:
        """Queue proofs of life; while PostgreSQL is away they would only pile up."""
        if not any(isinstance(waiting, Health) for waiting in self._queue):
            for item in items:
                self.put(item)

    async def room(self) -> None:
        """Wait until the queue is not too long for a whole page of history."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._queue) < FULL)

    async def drained(self) -> None:
        """Wait until everything is on record."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._queue)

    async def run(self) -> None:
        """Record for ever."""
        failures = 0
        while True:
            await self._filled.wait()
            batch = [self._queue[number] for number in range(min(BATCH, len(self._queue)))]
            try:
                written = await asyncio.to_thread(self._write, batch)
            except LedgerError as error:
                failures += 1
                log.error("ledger_unavailable", waiting=len(self._queue), tries=failures, error=str(error))
                await asyncio.sleep(self._timing.pause_after(failures))
                continue
            failures = 0
            self._remember(batch)
            await self._forget(len(batch))
            self._on_written(written)

    def _remember(self, batch: Iterable[Item]) -> None:
        for item in batch:
            if isinstance(item, Arrival):
                self._recorded[_key(item)] = _print(item)
        for key in list(self._recorded)[: max(0, len(self._recorded) - REMEMBERED)]:
            del self._recorded[key]

    async def _forget(self, count: int) -> None:
        for _ in range(count):
            self._queue.popleft()
        if not self._queue:
            self._filled.clear()
        async with self._changed:
            self._changed.notify_all()

    def _write(self, batch: list[Item]) -> Written:
        try:
            return self._transaction(batch)
        except (LedgerError, ValueError, TypeError) as error:
            if isinstance(error, LedgerError) and inbox.is_away(error):
                raise
            log.error("batch_refused", items=len(batch), error=str(error))
        parts = [self._write_alone(item) for item in batch]
        return Written(
            tuple(pair for part in parts for pair in part.recorded),
            tuple(item for part in parts for item in part.differing),
            tuple(gap for part in parts for gap in part.gaps),
        )

    def _write_alone(self, item: Item) -> Written:
        """One item that the database may refuse: then it is quarantined without its payload."""
        try:
            return self._transaction([item])
        except (LedgerError, ValueError, TypeError) as error:
            if not isinstance(item, Arrival) or (isinstance(error, LedgerError) and inbox.is_away(error)):
                raise
            log.error("message_refused", channel=item.channel, message_id=item.message_id, error=str(error))
            remark = f"the database refused it: {type(error).__name__}"
            return self._transaction([replace(item, command=None, payload=None, remark=remark)])

    def _transaction(self, items: list[Item]) -> Written:
        with self._ledger.begin() as session:
            return inbox.write(session, items, self._addressees())


def _key(arrival: Arrival) -> tuple[str, str]:
    return arrival.channel, arrival.message_id


def _print(arrival: Arrival) -> int:
    """A payload's fingerprint, good for this process."""
    return hash(repr(arrival.payload))
