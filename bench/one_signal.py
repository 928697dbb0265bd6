"""How long one signal takes that thousands of accounts follow: recorded, published, claimed, done.

`python -m bench.one_signal [ACCOUNTS] [PROCESSES]` starts its own PostgreSQL, Redis and simulated gateway, a real beat
and a real worker with so many processes, records one live rebalance for all accounts, and prints after how many seconds
it was on record, the first and the last message had left, the first and the last event were claimed, and all had ended.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from rebalancer.commands import Command
from rebalancer.ledger import intake
from rebalancer.ledger.intake import Addressee, NewSignal
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import running_postgres, running_redis
from rebalancer.services import Services
from tests.conftest import migrate
from tests.world import World, world

STRATEGY = "etf-blend-301-20"
EVERY_S = 0.05
PATIENCE_S = 3 * 3600.0
STATES = """
    SELECT count(*) FILTER (WHERE dispatch_no > 0) AS published, count(*) FILTER (WHERE attempt > 0) AS claimed,
           count(*) FILTER (WHERE state = 'succeeded') AS succeeded, sum(attempt) AS attempts
    FROM events
"""


@dataclass
class Seconds:
    """Since the signal was handed in; ``None`` until it happens."""

    recorded: float | None = None
    first_published: float | None = None
    all_published: float | None = None
    first_claimed: float | None = None
    all_claimed: float | None = None
    all_succeeded: float | None = None


def main(accounts: int, processes: int) -> int:
    """Measure and print; 1 when not every account succeeded."""
    console = Console()
    names = [f"DU2{number:06}" for number in range(accounts)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with running_postgres(root / "postgres") as postgres, running_redis(root / "redis") as redis:
            migrate(postgres.url)
            ledger = Ledger(postgres.url)
            holdings = {name: {"margin": True, "cash": 100_000} for name in names}
            with world(root, ledger, redis.url, accounts=holdings) as here:
                _follow(here, names)
                here.start_beat()
                here.start_worker(WORKER_CONCURRENCY=str(processes), LEASE_S="90", RETRY_DELAY_S="10")
                seconds, attempts = _measure(here, names)
            ledger.close()
    table = Table("until", "seconds", title=f"one signal, {accounts:,} accounts, {processes} worker processes")
    for name, value in vars(seconds).items():
        table.add_row(name.replace("_", " "), "never" if value is None else f"{value:.2f}")
    console.print(table)
    console.print(f"{attempts:,} attempts; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return int(seconds.all_succeeded is None)


def _follow(here: World, names: list[str]) -> None:
    """All of them follow the one strategy."""
    rows = [{"account_id": name, "type": "paper", "strategy_name": STRATEGY} for name in names]
    Path(here.environment["ACCOUNTS_FILE"]).write_text(yaml.safe_dump({"accounts": rows}))


def _measure(here: World, names: list[str]) -> tuple[Seconds, int]:
    dispatcher, seconds, attempts = Services.of(here.settings).dispatcher, Seconds(), 0
    signal = NewSignal(STRATEGY, "bench", Command.REBALANCE, {"exec": "rebalance"})
    began = time.monotonic()
    with here.ledger.begin() as session:
        recorded = intake.record(session, signal, [Addressee(name, STRATEGY) for name in names])
    seconds.recorded = time.monotonic() - began
    ids = {served.event_id for served in recorded.served}
    threading.Thread(target=dispatcher.publish_due, args=(ids,), daemon=True).start()  # as the listener does
    while seconds.all_succeeded is None and time.monotonic() - began < PATIENCE_S:
        with here.ledger.begin() as session:
            found = session.execute(text(STATES)).one()
        now, attempts, whole = time.monotonic() - began, found.attempts, len(names)
        for name, reached in (
            ("first_published", found.published),
            ("all_published", found.published >= whole),
            ("first_claimed", found.claimed),
            ("all_claimed", found.claimed >= whole),
            ("all_succeeded", found.succeeded >= whole),
        ):
            if reached and getattr(seconds, name) is None:
                setattr(seconds, name, now)
        time.sleep(EVERY_S)
    return seconds, attempts


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*arguments, *(2_000, 2)[len(arguments) :]))
