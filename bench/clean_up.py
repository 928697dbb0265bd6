"""How soon hints leave while the dispatcher cleans up a ledger of a million events whose RETENTION_DAYS was lowered.

`python -m bench.clean_up [EVENTS] [SECONDS]` starts its own PostgreSQL and Redis and a real beat, puts a new event into
the ledger twice a second, and prints how long each took to reach its queue, and how many old events left meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from redis import Redis
from rich.console import Console
from sqlalchemy import text

from bench.ledger_reads import fill
from rebalancer.ledger import heartbeats
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import running_postgres, running_redis
from tests.conftest import ROOT
from tests.tools.clusters import migrate
from tests.world import until

LIMIT_S = 1.5
EVERY_S = 0.5
FRESH = """
    INSERT INTO events (id, account_id, command, exclusive, strategy, state, reason, data, due_at, wanted, taken,
        attempt, times_queued, failures, refusals, crashes, needs_attention, remove_requested, dispatch_no)
    VALUES (gen_random_uuid(), :account, 'print-orders', false, 's', 'queued', 'new', '{}', now(), 1, 0, 0, 1, 0, 0, 0,
        false, false, 0)
"""


def main(events: int, seconds: float) -> int:
    """Fill, measure, print; 1 when hints leave later than allowed at p99."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with running_postgres(root / "postgres") as postgres, running_redis(root / "redis") as server:
            migrate(postgres.url)
            ledger = Ledger(postgres.url)
            fill(ledger, events)
            before = _count(ledger)
            with _beat(root, postgres.url, server.url) as beat:
                until(lambda: _at_work(ledger), 60)
                waits = _measure(ledger, Redis.from_url(server.url), seconds)
                cpu = sum(beat.cpu_times()[:2])
            gone = before - _count(ledger)
            ledger.close()
    p50, p99, worst = waits[len(waits) // 2], waits[int(len(waits) * 0.99)], waits[-1]
    console.print(f"{events:,} events, {len(waits)} hints: p50 {p50:.2f} s, p99 {p99:.2f} s, worst {worst:.2f} s")
    console.print(f"{gone:,} old events left meanwhile; beat used {cpu:.0f} s of processor time in {seconds:.0f} s")
    console.print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return int(p99 > LIMIT_S)


@contextmanager
def _beat(root: Path, database_url: str, redis_url: str) -> Iterator[psutil.Process]:
    environment = {"ENV_FILE": os.devnull, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "RETENTION_DAYS": "30"}
    files = {"ACCOUNTS_FILE": "accounts.yaml", "REPLACEMENT_SETS_FILE": "replacement-sets.yaml"}
    environment |= {name: str(ROOT / file) for name, file in files.items()}
    command = [sys.executable, "-m", "celery", "-A", "tasks", "beat", "-S", "tasks.beat:LedgerScheduler"]
    with (root / "beat.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own beat
            [*command, "-s", str(root / "schedule")], cwd=ROOT, env=os.environ | environment, stdout=log, stderr=log
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _measure(ledger: Ledger, redis: Redis, seconds: float) -> list[float]:
    """Seconds from the commit of each event to its message, sorted."""
    asked: dict[str, float] = {}
    waits: dict[str, float] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(waits) < len(asked):
        if time.monotonic() < end and (not asked or time.monotonic() - max(asked.values()) > EVERY_S):
            account = f"DX{len(asked):05}"
            with ledger.begin() as session:
                session.execute(text(FRESH), {"account": account})
            asked[account] = time.monotonic()
        while message := redis.rpop("report"):
            account = "DX" + bytes(message).partition(b"DX")[2][:5].decode(errors="replace")
            if account in asked:
                waits.setdefault(account, time.monotonic() - asked[account])
                with ledger.begin() as session:
                    session.execute(text("DELETE FROM events WHERE account_id = :account"), {"account": account})
        time.sleep(0.01)
    return sorted(waits.values())


def _at_work(ledger: Ledger) -> bool:
    with ledger.begin() as session:
        return any(one.name == heartbeats.BEAT for one in heartbeats.known(session))


def _count(ledger: Ledger) -> int:
    with ledger.begin() as session:
        return session.scalar(text("SELECT count(*) FROM events")) or 0


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*arguments, *(1_000_000, 120)[len(arguments) :]))
