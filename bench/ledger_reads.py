"""How long each read of the API and each page takes over a ledger with a million events.

`python -m bench.ledger_reads [EVENTS]` starts its own PostgreSQL and Redis, fills the ledger, and prints p50 and p95 of
each read, asked over HTTP one after the other.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import text

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import running_postgres, running_redis
from tests.conftest import ROOT
from tests.ledger_rows import seeded
from tests.serving import serving
from tests.tools.clusters import migrate

ROUNDS = 40
BATCH = 100_000
LIMIT_MS = 100.0

FILL = (
    """
    INSERT INTO events (id, account_id, command, exclusive, strategy, state, reason, data, created_at, due_at,
                        finished_at, wanted, taken, attempt, times_queued, failures, refusals, crashes, needs_attention,
                        remove_requested, dispatch_no)
    SELECT md5(n::text)::uuid, 'DU100000' || 1 + n % 7,
           (ARRAY['rebalance', 'print-rebalance', 'print-equity', 'print-positions'])[1 + n / 7 % 4], n / 7 % 4 = 0,
           'etf-blend-301-20', CASE WHEN n % 50 = 0 THEN 'removed' ELSE 'succeeded' END, 'done', '{}',
           now() - n * interval '1 minute', now(), now() - n * interval '1 minute', 1, 1, 1, 1, 0, 0, 0, false, false, 1
    FROM generate_series(:first, :last) AS n
    """,
    """
    INSERT INTO signals (channel, message_id, state, command, payload, received_at)
    SELECT 'etf-blend-301-20', n::text, CASE WHEN n % 1000 = 0 THEN 'quarantined' ELSE 'accepted' END, 'rebalance',
           '{"exec": "rebalance"}', now() - n * interval '1 minute'
    FROM generate_series(:first, :last) AS n
    """,
    """
    INSERT INTO attempts (event_id, number, taken, worker, started_at, finished_at, outcome)
    SELECT md5(n::text)::uuid, 1, 1, 'w', now(), now(), 'succeeded' FROM generate_series(:first, :last) AS n
    """,
    """
    INSERT INTO account_snapshots (account_id, event_id, attempt, moment, at, net_liquidation, cash, positions)
    SELECT 'DU100000' || 1 + n % 7, md5(n::text)::uuid, 1, 'before', now() - n * interval '1 minute', 100000 + n % 999,
           1000, '[]'
    FROM generate_series(:first, :last) AS n
    """,
)


def main(events: int) -> int:
    """Fill, measure, print; 1 when a read is slower than allowed at p95."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with running_postgres(root / "postgres") as postgres, running_redis(root / "redis") as redis:
            migrate(postgres.url)
            ledger = Ledger(postgres.url)
            ids = fill(ledger, events)
            settings = Settings.from_flat(
                {
                    "database_url": postgres.url,
                    "redis_url": redis.url,
                    "accounts_file": ROOT / "accounts.yaml",
                    "replacement_sets_file": ROOT / "replacement-sets.yaml",
                    "log_level": "WARNING",
                    "api_reads_private": False,
                }
            )
            with serving(create_app(settings)) as client:
                slow = _measure(console, client, events, ids)
            ledger.close()
    return 1 if slow else 0


def fill(ledger: Ledger, events: int) -> dict[str, str]:
    """Put so many ended events, with what belongs to them, into an empty ledger; ids of some by name."""
    for first in track(range(1, events + 1, BATCH), description="filling the ledger"):
        with ledger.begin() as session:
            for statement in FILL:
                session.execute(text("SET LOCAL statement_timeout = 0"))
                session.execute(text(statement), {"first": first, "last": min(first + BATCH - 1, events)})
    ids = {name: str(event_id) for name, event_id in seeded(ledger).items()}
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
    return ids


def _reads(ids: dict[str, str]) -> dict[str, dict[str, str]]:
    middle = "/queue/events?state=succeeded&order=newest&after="
    page, plain = {"Accept": "text/html"}, {"Accept": "application/json"}
    paths = [
        "/health",
        "/health/detailed",
        "/readyz",
        "/metrics",
        "/queue/status",
        "/queue/events",
        "/queue/events?type=retry",
        "/queue/events?state=succeeded&order=newest",
        "/queue/events?state=removed&account_id=DU1000003&order=newest",
        "/accounts",
        "/accounts/DU1000004/positions",
        "/accounts/DU1000004/value",
        "/signals",
        "/signals?state=quarantined",
        "/signals?state=unaddressed",
        "/channels",
        "/halts",
        "/approvals",
        "/schedules",
    ]
    reads = dict.fromkeys((*paths, f"/queue/events/{ids['traded']}", middle + ids["traded"]), plain)
    pages = (
        "/",
        f"/events/{ids['traded']}",
        "/account/DU1000001",
        "/history",
        "/history?account_id=DU1000002",
        "/money",
    )
    return reads | dict.fromkeys(pages, page)


def _measure(console: Console, client: httpx.Client, events: int, ids: dict[str, str]) -> bool:
    table = Table("read", "p50 ms", "p95 ms", title=f"{events:,} events")
    slow = False
    for path, headers in _reads(ids).items():
        times = sorted(_once(client, path, headers) for _ in range(ROUNDS))
        p95 = times[int(ROUNDS * 0.95)]
        slow = slow or p95 > LIMIT_MS
        colour = "red" if p95 > LIMIT_MS else "green"
        table.add_row(path, f"{statistics.median(times):.1f}", f"[{colour}]{p95:.1f}[/]")
    console.print(table)
    return slow


def _once(client: httpx.Client, path: str, headers: dict[str, str]) -> float:
    started = time.perf_counter()
    answer = client.get(path, headers=headers)
    elapsed = (time.perf_counter() - started) * 1000
    if answer.status_code >= 500 and path != "/readyz":
        raise RuntimeError(f"{path}: {answer.status_code}")
    return elapsed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
