"""The trial itself: publish, disturb, wait until all is calm, and hold the ledger against what was published."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger.queries import invariants
from rebalancer.ledger.queries.invariants import Recorded
from rebalancer.ledger.states import SignalState
from sandbox.fault_trials.cast import STRATEGIES
from sandbox.fault_trials.kinds import KINDS, sequence
from sandbox.fault_trials.stage import Stage

Tell = Callable[[str], None]

# What is published, with its share: mostly what is cheap to serve.
PAYLOADS: Mapping[str, float] = {
    '{"exec": "print-equity"}': 45,
    '{"exec": "print-positions"}': 40,
    '{"exec": "rebalance"}': 5,
    '{"exec": "print-rebalance"}': 3,
    '{"exec": "nonsense"}': 3,
    "no JSON": 2,
    "[]": 2,
}
POLL_S = 0.25


def _unheard(_count: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What the ledger showed. All but the first two have to be empty.

    Attributes:
        lost: published, not on record.
        doubled: on record more than once.
        unserved: on record, but covered by no successful run.
        repeated: successful runs without a new wish.
        overlapping: pairs of runs at once on one account.
        disordered: messages recorded before an earlier one of their channel.
        unfinished: events still under way when the patience was over.
    """

    published: int
    recorded: int
    lost: int
    doubled: int
    unserved: int
    repeated: int
    overlapping: int
    disordered: int
    unfinished: int
    faults: Mapping[str, int]
    seconds: float

    @property
    def sound(self) -> bool:
        """Nothing lost, nothing twice, everything in order."""
        wrong = (self.lost, self.doubled, self.unserved, self.repeated, self.overlapping, self.disordered)
        return not any(wrong) and not self.unfinished


class Trial:
    """One run over a stage that is up.

    Args:
        pause_s: between two messages.
        patience_s: how long it may take until all is calm.
    """

    def __init__(self, stage: Stage, *, seed: int, pause_s: float, patience_s: float, tell: Tell) -> None:
        self._stage = stage
        self._chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._pause_s = pause_s
        self._patience_s = patience_s
        self._tell = tell
        self._published: dict[str, list[str]] = {strategy: [] for strategy in STRATEGIES}
        self._faults: Counter[str] = Counter()

    def run(self, messages: int, faults: int, published: Callable[[int], None] = _unheard) -> Findings:
        """Publish so many messages and strike so often in between.

        Args:
            published: hears how many have been published, after each.
        """
        started = time.monotonic()
        kinds = sequence(faults, self._chance)
        for number in range(messages):
            self._publish(self._chance.choice(list(STRATEGIES)))
            published(number + 1)
            while kinds and self._faults.total() * messages < (number + 1) * faults:
                self._strike(kinds.pop(0))
            time.sleep(self._pause_s)  # the rate of publication, not a wait for anything
        self._tell(f"published {self._total()} messages, struck {faults} times; waiting for calm")
        self._stage.tell("thaw")
        self._stage.tell("come_up")
        unfinished = self._wait_for_calm()
        return self._findings(unfinished, time.monotonic() - started)

    def _strike(self, kind: str) -> None:
        self._faults[kind] += 1
        self._tell(f"{self._total():6d} messages; {kind}")
        KINDS[kind](self._stage, self._publish)

    def _publish(self, channel: str) -> None:
        text = self._chance.choices(list(PAYLOADS), list(PAYLOADS.values()))[0]
        self._published[channel].append(self._stage.publish(channel, {"data": text}))

    def _total(self) -> int:
        return sum(len(ids) for ids in self._published.values())

    def _wait_for_calm(self) -> int:
        """Number of events and messages that are still on their way when the patience is over."""
        end = time.monotonic() + self._patience_s
        left = self._left()
        while left and time.monotonic() < end:
            time.sleep(POLL_S)
            left = self._left()
        return left

    def _left(self) -> int:
        try:
            with self._stage.ledger.begin() as session:
                found = {row.message_id for row in invariants.recorded(session, list(STRATEGIES))}
                return invariants.active(session) + len(self._all_ids() - found)
        except RecordUnavailable:
            return 1  # PostgreSQL is on its way back

    def _all_ids(self) -> set[str]:
        return {message_id for ids in self._published.values() for message_id in ids}

    def _findings(self, unfinished: int, seconds: float) -> Findings:
        with self._stage.ledger.begin() as session:
            rows = [row for row in invariants.recorded(session, list(STRATEGIES)) if row.message_id in self._all_ids()]
            unserved, repeated = invariants.unserved(session), invariants.repeated(session)
            overlapping = invariants.overlaps(session)
        times = Counter((row.channel, row.message_id) for row in rows)
        return Findings(
            published=self._total(),
            recorded=len(times),
            lost=self._total() - len(times),
            doubled=sum(count - 1 for count in times.values()),
            unserved=len(unserved) + sum(row.state is not SignalState.ACCEPTED for row in rows),
            repeated=len(repeated),
            overlapping=len(overlapping),
            disordered=sum(self._disordered(channel, rows) for channel in STRATEGIES),
            unfinished=unfinished,
            faults=dict(self._faults),
            seconds=seconds,
        )

    def _disordered(self, channel: str, rows: Iterable[Recorded]) -> int:
        place = {message_id: number for number, message_id in enumerate(self._published[channel])}
        order = [place[row.message_id] for row in rows if row.channel == channel]
        latest = -1
        late = 0
        for number in order:
            late += number < latest
            latest = max(latest, number)
        return late
