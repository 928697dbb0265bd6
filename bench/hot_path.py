"""How long a signal takes from published to recorded with warm workers, and what it costs: `make bench`.

`python -m bench.hot_path [RUNS] [CASE ...]` starts its own PostgreSQL, Redis and simulated gateway and a real worker
for each case, publishes targets that every account follows with eight orders (two sells, six buys), again and again,
and prints a table; build/bench.json has the same. Floors are of the same minute, see :mod:`bench.floors`. Counts
(statements, messages, processor time) mean something on a busy machine, seconds do not.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from bench import costs, floors
from bench.floors import Floors
from bench.timed_world import ON_MARGIN, STRATEGY, followers, servers
from rebalancer.domain.commands import Command
from rebalancer.ledger import signal_intake
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from sandbox.wide_limits import WIDE_LIMITS
from tests.world import DEFAULT_SCENARIO, World

REPORT = Path("build/bench.json")
SYMBOLS = ("QQQ", "SPY", "EDC", "QLD", "TLT", "GLD", "VXX", "IWM")
LOWEST, STEP = 9.5, 2.0
"""Weights in percent: two of eight symbols fall from the highest to the lowest, six rise by a step."""
ORDERS = 8
WARM_RUNS, COUNTED_RUNS = 4, 4
PATIENCE_S = 180.0
WATCHER = "bench"
"""Role of this process, so that its statements are told from the worker's."""
ROUND_TRIPS = 4
"""Of the floor of a run: what the account is, the sells, what they brought, the buys."""
COMMITS = 3
"""Claim, intents, outcome."""
A_SECOND = 50
"""Messages that IBKR takes over one connection."""
TURN_MESSAGES = 3
"""Of a run, over another connection than the worker's own."""
MANY = 20
"""Accounts; of more there are as many fewer runs, since each takes as much longer."""
HELD, TARGETS = {"EDC": 20_000, "VXX": 20_000}, {"EDC": 0.1995, "VXX": 0.1995}
"""Of a cash account that is used once: USD, fractions. 60,000 USD pay for six buys, and for no cushion of them all."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured.

    Attributes:
        latency_ms: that every answer of the gateway takes.
        fill_ms: until an order fills.
        cash: each run is of another account, without margin.
    """

    name: str
    accounts: int
    workers: int
    latency_ms: int = 0
    fill_ms: int = 0
    cash: bool = False

    def floor_s(self, floor: Floors) -> float:
        """The least that a run could take: a bare task, the round trips, the commits, two fills one after the other."""
        trip_s = floor.round_trip_s + self.latency_ms / 1000
        return floor.celery_s + ROUND_TRIPS * trip_s + COMMITS * floor.commit_s + 2 * self.fill_ms / 1000

    def bound_s(self, floor: Floors, messages: float, processor_ms: float, cores: int) -> float:
        """The least that all accounts together could take: what the pace of messages, the connections, or the
        processors allow; never below :meth:`floor_s`.

        Args:
            messages: to the gateway, of an account.
            processor_ms: worker's and PostgreSQL's, of an account.
        """
        rounds = math.ceil(self.accounts / self.workers)
        run_s = ROUND_TRIPS * (floor.round_trip_s + self.latency_ms / 1000) + 2 * self.fill_ms / 1000
        full_seconds = (math.ceil(rounds * (messages - TURN_MESSAGES)) - 1) // A_SECOND
        processors_s = self.accounts * processor_ms / 1000 / cores
        return max(self.floor_s(floor), rounds * run_s, float(full_seconds), processors_s)

    def runs_of(self, runs: int) -> int:
        """How many there are of this case where one of few accounts has ``runs``."""
        return max(1, runs * MANY // max(MANY, self.accounts))


CASES = (
    Case("1-instant", 1, 1),
    Case("1-50ms", 1, 1, 50),
    Case("1-50ms-1s", 1, 1, 50, 1000),
    Case("1-50ms-1s-cash", 1, 1, 50, 1000, cash=True),
    Case("7-instant", 7, 7),
    Case("7-50ms-1s", 7, 7, 50, 1000),
    Case("20-instant", 20, 14),
    Case("20-50ms", 20, 14, 50),
    Case("100-50ms", 100, 14, 50),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one case; per account and run where nothing else is said.

    Attributes:
        p50_s / p99_s: from published to the commit of the last account's outcome.
        floor_s: see :meth:`Case.floor_s`; ``ratio`` is p50 to it.
        bound_s: see :meth:`Case.bound_s`; ``bound_ratio`` is p50 to it.
        worker_ms / postgres_ms: processor time.
        sandbox_ms: the same of the simulated gateway and allocations, and of the measurement.
        messages: to the gateway, orders included.
        statements / transactions: of PostgreSQL, begin and commit included.
    """

    case: str
    runs: int
    p50_s: float
    p99_s: float
    floor_s: float
    ratio: float
    bound_s: float
    bound_ratio: float
    worker_ms: float
    postgres_ms: float
    sandbox_ms: float
    messages: float
    statements: float
    transactions: float


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of each run, sorted, and milliseconds of processors for an account."""

    taken: list[float]
    worker_ms: float
    postgres_ms: float
    sandbox_ms: float


class Site:
    """A world of one case, its worker warm."""

    def __init__(self, case: Case, names: list[str], here: World, postgres: RunningServer, watcher: Connection) -> None:
        self._case = case
        self._here = here
        self._postgres = postgres
        self._watcher = watcher
        self._names = names
        self._step = 0
        self._worker = here.start_worker(
            DATABASE_URL=postgres.url, WORKER_CONCURRENCY=str(case.workers), LEASE_S="90", **WIDE_LIMITS
        )
        self._dispatcher = Services.of(here.settings).dispatcher
        self.port = here.gateway.port
        for _ in range(case.runs_of(WARM_RUNS)):
            self.run()

    def run(self) -> float:
        """Publish other targets, have all accounts follow them; seconds from published to recorded."""
        self._step += 1
        names = self._names[self._step - 1 : self._step] if self._case.cash else self._names
        self._here.allocations.publish(STRATEGY, cash_weights() if self._case.cash else weights(self._step))
        signal = NewSignal(STRATEGY, uuid4().hex, Command.REBALANCE, {"exec": Command.REBALANCE})
        with self._here.ledger.begin() as session:
            served = signal_intake.record(session, signal, [Addressee(name, STRATEGY) for name in names]).served
        ids = {one.event_id for one in served}
        began = self._watcher.scalar(text("SELECT clock_timestamp()"))
        self._dispatcher.publish_due(ids)
        return float((self._recorded(ids) - began).total_seconds())

    def _recorded(self, ids: set[UUID]) -> Any:
        """When the last outcome was committed."""
        done = text(
            "SELECT count(*) FILTER (WHERE state = 'succeeded') AS done, max(pg_xact_commit_timestamp(xmin)) AS at,"
            " max(last_error) AS error, max(reason) AS reason FROM events WHERE id = ANY(:ids)"
        )
        end = time.monotonic() + PATIENCE_S
        while True:
            found = self._watcher.execute(done, {"ids": list(ids)}).one()
            if found.done == len(ids):
                return found.at
            if time.monotonic() > end:
                raise RuntimeError(f"{found.done} of {len(ids)} succeeded: {found.reason}, {found.error}")
            time.sleep(0.005)

    def timed(self, runs: int) -> Timed:
        """Runs one after the other, each in a second of its own."""
        taken, worker, postgres, sandbox = [], 0.0, 0.0, 0.0
        for _ in range(runs):
            self._rest()
            before, here = self._spent(), time.process_time()
            taken.append(self.run())
            sandbox += time.process_time() - here
            after = self._spent()
            worker += costs.spent_s(before[0], after[0])
            postgres += costs.spent_s(before[1], after[1])
        whole = runs * self._case.accounts / 1000
        return Timed(sorted(taken), worker / whole, postgres / whole, sandbox / whole)

    def counted(self) -> tuple[float, float, float]:
        """Messages to the gateway, statements and transactions."""
        costs.log_statements(self._here.ledger, on=True)
        self._rest()
        log, own = self._postgres.log.stat().st_size, self._own_backends()
        messages = self._messages()
        runs = self._case.runs_of(COUNTED_RUNS)
        for _ in range(runs):
            self.run()
        messages = self._messages() - messages
        costs.log_statements(self._here.ledger, on=False)
        with self._postgres.log.open() as file:
            file.seek(log)
            told = costs.statements(file.read(), own)
        whole = runs * self._case.accounts
        return messages / whole, told["statements"] / whole, told["transactions"] / whole

    def _rest(self) -> None:
        """Until the second that IBKR counts messages in is over."""
        time.sleep(1.1)

    def _spent(self) -> tuple[dict[int, float], dict[int, float]]:
        others = set(self._own_backends())
        servers = [pid for pid in costs.family(self._postgres.pid) if pid not in others]
        return costs.processor_s(costs.family(self._worker.pid)), costs.processor_s(servers)

    def _own_backends(self) -> list[int]:
        """Of this process: the watcher's, and those of the ledger's pool that publish."""
        ours = text("SELECT pid FROM pg_stat_activity WHERE usename = :role")
        return list(self._watcher.scalars(ours, {"role": WATCHER}))

    def _messages(self) -> int:
        return self._here.gateway.do(lambda gateway: sum(gateway.message_counts.values()))


def weights(step: int) -> dict[str, float]:
    """Fractions by symbol: each pair of symbols falls in one of four steps and rises in the others."""
    return {
        symbol: (LOWEST + STEP * ((step - place // 2) % (len(SYMBOLS) // 2))) / 100
        for place, symbol in enumerate(SYMBOLS)
    }


def cash_weights() -> dict[str, float]:
    """Two are held and fall a little, six are bought."""
    bought = [symbol for symbol in SYMBOLS if symbol not in TARGETS]
    return {**TARGETS, **dict.fromkeys(bought, (1 - sum(TARGETS.values())) / len(bought))}


def watchers(url: str) -> str:
    """The same database, as the watcher."""
    return url.replace("//postgres@", f"//{WATCHER}@")


def accounts(case: Case, runs: int) -> dict[str, dict[str, Any]]:
    """That no other case has, as the gateway has them; of a case of cash one for each run."""
    first = 1000 * CASES.index(case)
    if not case.cash:
        return {f"DU2{first + number:06}": ON_MARGIN for number in range(case.accounts)}
    prices = {symbol: DEFAULT_SCENARIO["instruments"][symbol]["price"] for symbol in HELD}
    held = {symbol: int(value / prices[symbol]) for symbol, value in HELD.items()}
    count = WARM_RUNS + runs + COUNTED_RUNS
    return {f"DU2{first + number:06}": {"cash": 60_000, "positions": held} for number in range(count)}


def prepare(postgres: RunningServer) -> None:
    """Let it tell the watcher's statements from others', and when what was committed."""
    ledger = Ledger(postgres.url)
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE ROLE {WATCHER} SUPERUSER LOGIN"))
        connection.execute(text("ALTER SYSTEM SET track_commit_timestamp = 'on'"))
    ledger.close()
    postgres.restart()


@contextmanager
def warm(case: Case, runs: int, folder: Path, postgres: RunningServer, redis: RunningServer) -> Iterator[Site]:
    """The world of a case of so many runs, and a worker that has had some."""
    folder.mkdir()
    ledger = Ledger(watchers(postgres.url))
    holdings = accounts(case, runs)
    mode = {"mode": "delayed", "delay_ms": case.fill_ms} if case.fill_ms else {"mode": "instant"}
    parts: dict[str, Any] = {"gateway": {"latency_ms": case.latency_ms}, "fills": mode}
    with followers(folder, ledger, redis, holdings, **parts) as here, ledger.engine.connect() as connection:
        watcher = connection.execution_options(isolation_level="AUTOCOMMIT")
        yield Site(case, list(holdings), here, postgres, watcher)
    ledger.close()


def measure(case: Case, runs: int, root: Path, postgres: RunningServer, redis: RunningServer) -> Figures:
    """One case from start to end."""
    folder = root / case.name
    with warm(case, runs, folder, postgres, redis) as site:
        trip_s = max(0.0, floors.round_trip_s(site.port) - case.latency_ms / 1000)
        floor = Floors(trip_s, floors.celery_s(redis.url, folder), floors.commit_s(postgres.url))
        timed = site.timed(runs)
        messages, statements, transactions = site.counted()
    p50, least = statistics.median(timed.taken), case.floor_s(floor)
    bound = case.bound_s(floor, messages, timed.worker_ms + timed.postgres_ms, os.cpu_count() or 1)
    return Figures(
        case=case.name,
        runs=runs,
        p50_s=round(p50, 4),
        p99_s=round(timed.taken[int(len(timed.taken) * 0.99)], 4),
        floor_s=round(least, 4),
        ratio=round(p50 / least, 2),
        bound_s=round(bound, 4),
        bound_ratio=round(p50 / bound, 2),
        worker_ms=round(timed.worker_ms, 1),
        postgres_ms=round(timed.postgres_ms, 1),
        sandbox_ms=round(timed.sandbox_ms, 1),
        messages=round(messages, 1),
        statements=round(statements, 1),
        transactions=round(transactions, 1),
    )


def main(runs: int, names: list[str]) -> int:
    """Measure, print and write; 1 if there is no such case."""
    chosen = [case for case in CASES if not names or case.name in names]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with servers(root) as (postgres, redis):
            prepare(postgres)
            found = [measure(case, case.runs_of(runs), root, postgres, redis) for case in chosen]
    show(found)
    REPORT.parent.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    REPORT.write_text(json.dumps({"machine": machine, "cases": [asdict(one) for one in found]}, indent=2) + "\n")
    return int(not found)


def show(found: list[Figures]) -> None:
    """Print the table."""
    table = Table(title=f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; per account and run")
    for heading in ("case", "p50 s", "p99 s", "floor s", "p50 / floor", "bound s", "p50 / bound"):
        table.add_column(heading, justify="right")
    for heading in ("worker ms", "PostgreSQL ms", "sandbox ms", "messages", "statements", "transactions"):
        table.add_column(heading, justify="right")
    for one in found:
        seconds = (one.p50_s, one.p99_s, one.floor_s, one.ratio, one.bound_s, one.bound_ratio)
        spent = (one.worker_ms, one.postgres_ms, one.sandbox_ms, one.messages, one.statements, one.transactions)
        table.add_row(one.case, *map(str, (*seconds, *spent)))
    Console(width=150).print(table)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2:]))
