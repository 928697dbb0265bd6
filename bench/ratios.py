"""What the program takes, as a ratio to a bare peer: a part of `make bench`.

`python -m bench.ratios [EVENTS] [RUNS]` measures putting a request on its way against a bare `apply_async`, the start
of a worker against that of a bare Celery application, and a run over a ledger with so many events against one over an
empty ledger. It prints a table and writes build/ratios.json. The two of a ratio take turns, with PostgreSQL, Redis and
simulated gateways of their own, so that what else the machine does slows both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from uuid import uuid4

from redis import Redis
from rich.console import Console
from rich.table import Table

from bench import BARE_TASK, costs
from bench.hot_path import CASES, Site, prepare, warm
from bench.ledger_reads import fill
from bench.timed_world import ON_MARGIN, STRATEGY, followers, servers
from rebalancer.domain.accounts import Account
from rebalancer.domain.commands import Command
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.operations.requests import request
from rebalancer.queueing.celery_queues import LIVE_QUEUE
from rebalancer.queueing.dispatcher import Dispatcher
from rebalancer.services import Services
from tests.conftest import ROOT
from tests.world import World

REPORT = Path("build/ratios.json")
TIMES, WARM_TIMES = 300, 20
STARTS = 5
PROCESSES = "7"
PATIENCE_S = 120.0
FOLLOWERS = 7
"""Accounts of one signal."""
ACCOUNT = "DU2000000"
OURS = ("tasks", "worker")
ALONE = ("--without-gossip", "--without-mingle")
"""As ours starts: Celery would wait a second for others to answer."""
BARE = ("celery", "-A", "bench.bare", "worker", "-c", PROCESSES, "-Q", BARE_TASK, "-l", "INFO", *ALONE)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Medians, seconds.

    Attributes:
        target: the most that the ratio may be; ``None`` for one that explains another.
    """

    what: str
    ours_s: float
    peer_s: float
    target: float | None = None

    @property
    def ratio(self) -> float:
        """Ours to the peer's."""
        return self.ours_s / self.peer_s

    @property
    def verdict(self) -> str:
        """Whether the target is reached; empty without one."""
        if self.target is None:
            return ""
        return "reached" if self.ratio <= self.target else "not reached"


def start(here: World) -> list[Ratio]:
    """From the start of a worker until it says that it is ready."""
    environment = here.environment | {"BENCH_REDIS_URL": here.environment["REDIS_URL"], "WORKER_CONCURRENCY": PROCESSES}
    rounds = [(*_started(OURS, environment), *_started(BARE, environment)) for _ in range(1 + STARTS)]
    ours_s, ours_cpu_s, bare_s, bare_cpu_s = _medians(rounds[1:])
    return [
        Ratio("start over bare Celery", ours_s, bare_s, 1.2),
        Ratio("… processor time", ours_cpu_s, bare_cpu_s),
    ]


def _started(module: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds, and seconds of processors."""
    began = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - our own worker
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        watchdog = threading.Timer(PATIENCE_S, process.kill)
        watchdog.start()
        said: list[str] = []
        try:
            for line in process.stdout:
                said.append(line)
                if "ready." in line:
                    elapsed = time.perf_counter() - began
                    return elapsed, costs.spent_s({}, costs.processor_s(costs.family(process.pid)))
        finally:
            process.terminate()
            process.communicate()
            watchdog.cancel()
    raise RuntimeError("".join(said))


def enqueue(here: World) -> list[Ratio]:
    """A request of one account, and a signal that several follow: on record and published."""
    services, client = Services.of(here.settings), Redis.from_url(here.environment["REDIS_URL"])
    os.environ["BENCH_REDIS_URL"] = here.environment["REDIS_URL"]
    bare = import_module("bench.bare").bare
    account, rounds = services.accounts().get(ACCOUNT), []
    for number in range(WARM_TIMES + TIMES):
        rounds.append(
            (
                _seconds(lambda: bare.apply_async(queue=BARE_TASK)),
                _seconds(partial(_request, services.dispatcher, account, number)),
                _seconds(partial(_signal, services.dispatcher, number)) / FOLLOWERS,
            )
        )
        assert client.llen(LIVE_QUEUE) == 1 + FOLLOWERS
        client.delete(LIVE_QUEUE, BARE_TASK)  # as workers that keep up
    services.ledger.close()
    bare_s, request_s, signal_s = _medians(rounds[WARM_TIMES:])
    return [
        Ratio("enqueue over a bare apply_async", request_s, bare_s, 3),
        Ratio(f"… a signal of {FOLLOWERS} accounts, each", signal_s, bare_s, 3),
    ]


def _request(dispatcher: Dispatcher, account: Account, number: int) -> None:
    request(dispatcher, replace(account, account_id=f"DU3{number:06}"), Command.REBALANCE, {}, "cli")


def _signal(dispatcher: Dispatcher, number: int) -> None:
    """As the listener does."""
    signal = NewSignal(STRATEGY, uuid4().hex, Command.REBALANCE, {"exec": Command.REBALANCE})
    names = (f"DU4{FOLLOWERS * number + place:06}" for place in range(FOLLOWERS))
    dispatcher.submit(signal, [Addressee(name, STRATEGY) for name in names])


def ledgers(root: Path, events: int, runs: int) -> list[Ratio]:
    """One account with an instant gateway, from published to recorded."""
    with _site(root / "full", events, runs) as full, _site(root / "empty", 0, runs) as empty:
        full_s, full_cpu_s, empty_s, empty_cpu_s = _medians([(*_run(full), *_run(empty)) for _ in range(runs)])
    return [
        Ratio(f"ledger with {events:,} events over an empty one", full_s, empty_s, 1.5),
        Ratio("… PostgreSQL's processor time", full_cpu_s, empty_cpu_s),
    ]


@contextmanager
def _site(folder: Path, events: int, runs: int) -> Iterator[Site]:
    with servers(folder) as (postgres, redis):
        prepare(postgres)
        if events:
            ledger = Ledger(postgres.url)
            fill(ledger, events)
            ledger.close()
        with warm(CASES[0], runs, folder / "world", postgres, redis) as site:
            yield site


def _run(site: Site) -> tuple[float, float]:
    """Seconds, and seconds of PostgreSQL's processors."""
    timed = site.timed(1)
    return timed.taken[0], timed.postgres_ms / 1000


def _seconds(once: Callable[[], object]) -> float:
    began = time.perf_counter()
    once()
    return time.perf_counter() - began


def _medians(rounds: Iterable[Iterable[float]]) -> list[float]:
    """Of each column."""
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def main(events: int, runs: int) -> int:
    """Measure, print and write."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with servers(root / "way") as (postgres, redis):
            record = Ledger(postgres.url)
            with followers(root / "way", record, redis, {ACCOUNT: ON_MARGIN}) as here:
                found = [*start(here), *enqueue(here)]
            record.close()
        found += ledgers(root, events, runs)
    show(found)
    REPORT.parent.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    rows = [asdict(one) | {"ratio": round(one.ratio, 2)} for one in found]
    REPORT.write_text(json.dumps({"machine": machine, "ratios": rows}, indent=2, ensure_ascii=False) + "\n")
    return 0


def show(found: Sequence[Ratio]) -> None:
    """Print the table."""
    table = Table(title=f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; medians")
    table.add_column("what")
    for heading in ("ours ms", "peer ms", "ratio", "target", "verdict"):
        table.add_column(heading, justify="right")
    for one in found:
        seconds = (f"{1000 * taken:.1f}" for taken in (one.ours_s, one.peer_s))
        table.add_row(one.what, *seconds, f"{one.ratio:.2f}", str(one.target or ""), one.verdict)
    Console(width=110).print(table)


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*given, *(1_000_000, 20)[len(given) :]))
