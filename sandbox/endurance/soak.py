"""`rebalancer sandbox soak`: signals that trade, minute after minute, and whether anything grows that should not."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from rebalancer.ledger.queries import invariants
from rebalancer.runner.waiting import wait_until
from sandbox.ending import told_to_stop
from sandbox.endurance.burst import crowd
from sandbox.endurance.census import Cost, Gathered, costs, gathered
from sandbox.fault_trials.cast import SHIPPED, STRATEGIES
from sandbox.fault_trials.stage import Stage

REBALANCE = '{"exec": "rebalance"}'
OTHERS = {**SHIPPED, "BTAL": 0.2417, "QQQ": 0.181}
"""Targets of every other signal: 4 % of equity move from one symbol to another."""
ACCOUNTS = 7
SAMPLE_S = 15.0
CALM_S = 120.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much more there may be at the end than in the middle.

    Attributes:
        part: of what there was in the middle.
        more: in the unit of what is measured, on top.
    """

    part: float
    more: float


MEMORY, HANDLES = Allowance(0.03, 3.0), Allowance(0.0, 3.0)
ROWS = Allowance(0.1, 0.05)
"""Of a table, for each row of the one that it belongs to: history grows with what happened, and with nothing else."""
OF_ORDERS = frozenset({"fills", "order_reports"})
WHAT_HAPPENED = frozenset({"events", "orders"})
"""How much is traded for one event differs: several signals at once are one."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything, at one time."""

    at_s: float
    costs: Mapping[str, Cost]
    gathered: Gathered


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure over the time.

    Attributes:
        middle / end: medians of the second and of the last third.
    """

    name: str
    middle: float
    end: float
    allowance: Allowance

    @property
    def flat(self) -> bool:
        """It grew no more than allowed."""
        return self.end <= self.middle * (1 + self.allowance.part) + self.allowance.more


def run(minutes: float, every_s: float) -> int:
    """Publish one signal after the other, look on, judge.

    Returns:
        0 only if nothing grew and every signal was served once.
    """
    console = Console(highlight=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    with (
        told_to_stop(console, f"it ends here; its logs are left in {folder}"),
        Stage(folder / "data", crowd(ACCOUNTS)) as stage,
    ):
        samples = _look_on(stage, minutes * 60, every_s, lambda sample: console.print(_line(sample)))
        left = [] if wait_until(lambda: not _active(stage), CALM_S, poll_s=0.5) else ["events are not finished"]
        found = [*left, *_broken_promises(stage)]
    measures = list(judged(samples))
    console.print(_table(measures))
    for sentence in found:
        console.print(sentence)
    if found or not all(one.flat for one in measures):
        console.print(f"ledger, books and logs are left in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _look_on(stage: Stage, seconds: float, every_s: float, tell: Callable[[Sample], None]) -> list[Sample]:
    samples: list[Sample] = []
    began = time.monotonic()
    signals = cycle((strategy, targets) for targets in (OTHERS, SHIPPED) for strategy in STRATEGIES)
    published = 0
    while (now := time.monotonic() - began) < seconds:
        if now >= published * every_s:
            strategy, targets = next(signals)
            stage.set_targets(strategy, targets)
            stage.publish(strategy, {"data": REBALANCE})
            published += 1
        if now >= len(samples) * SAMPLE_S:
            store = gathered(stage.ledger, stage.stack.site.environment["REDIS_URL"])
            samples.append(Sample(now, costs(stage.stack), store))
            tell(samples[-1])
        upcoming = began + min(published * every_s, len(samples) * SAMPLE_S, seconds)
        time.sleep(max(0.0, upcoming - time.monotonic()))  # the rate of signals and samples, not a wait for anything
    return samples


def judged(samples: Sequence[Sample]) -> Iterator[Measure]:
    """Each figure in the second third against the same in the last; in the first, what is needed is loaded."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]

    def measure(name: str, of: Callable[[Sample], float], allowance: Allowance) -> Measure:
        return Measure(name, median(map(of, middle)), median(map(of, last)), allowance)

    for program in samples[-1].costs:
        yield measure(f"{program}: MiB", _of(program, "pss"), MEMORY)
        yield measure(f"{program}: handles", _of(program, "handles"), HANDLES)
        yield measure(f"{program}: threads", _of(program, "threads"), HANDLES)
    yield measure("PostgreSQL: connections", lambda one: one.gathered.connections, HANDLES)
    yield measure("Redis: clients", lambda one: one.gathered.clients, HANDLES)
    yield measure("Redis: keys", lambda one: one.gathered.keys, HANDLES)
    yield measure("Redis: MiB", lambda one: one.gathered.redis, MEMORY)
    for table in sorted(samples[-1].gathered.rows.keys() - WHAT_HAPPENED):
        of = "orders" if table in OF_ORDERS else "events"
        yield Measure(f"{table}: rows of {of}", _rate(middle, table, of), _rate(last, table, of), ROWS)


def _of(program: str, what: str) -> Callable[[Sample], float]:
    """One figure of one program; 0 while it was down."""
    return lambda sample: float(getattr(sample.costs.get(program, Cost()), what))


def _rate(samples: Sequence[Sample], table: str, of: str) -> float:
    """Rows that came for each that came in another table."""
    first, last = samples[0].gathered.rows, samples[-1].gathered.rows
    return (last[table] - first[table]) / max(1, last[of] - first[of])


def _active(stage: Stage) -> int:
    with stage.ledger.begin() as session:
        return invariants.active(session)


def _broken_promises(stage: Stage) -> Iterator[str]:
    with stage.ledger.begin() as session:
        unserved, repeated = invariants.unserved(session), invariants.repeated(session)
        overlapping = invariants.overlaps(session)
    for what, those in (("never served", unserved), ("served twice", repeated), ("runs at once", overlapping)):
        if those:
            yield f"{what}: {those}"


def _line(sample: Sample) -> str:
    store, cost = sample.gathered, sample.costs.values()
    return (
        f"{sample.at_s / 60:6.1f} min  {store.rows['events']} events, {store.rows['orders']} orders, "
        f"{sum(one.pss for one in cost):.0f} MiB, {sum(one.handles for one in cost)} handles, "
        f"{store.connections} connections, {store.keys} keys in Redis"
    )


def _table(measures: Sequence[Measure]) -> Table:
    made = Table("what", title="In the middle and at the end")
    for heading in ("middle", "end", ""):
        made.add_column(heading, justify="right")
    for one in measures:
        made.add_row(one.name, f"{one.middle:.2f}", f"{one.end:.2f}", "flat" if one.flat else "GROWS")
    return made
