"""How long one signal takes that thousands of accounts follow: recorded, published, claimed, done.

`python -m bench.one_signal [ACCOUNTS] [PROCESSES] [COMMAND]` starts its own PostgreSQL, Redis and simulated gateway, a
real beat and a real worker with so many processes, and records one signal (a live rebalance) for all accounts. It
prints after how many seconds that was on record, the first and the last message had left, the first and the last event
were claimed, and all had ended.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from sqlalchemy import text

from bench.timed_world import ON_MARGIN, STRATEGY, followers, servers
from rebalancer.domain.commands import Command
from rebalancer.ledger import signal_intake
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.services import Services
from sandbox.wide_limits import WIDE_LIMITS
from tests.world import World

EVERY_S = 0.05
PATIENCE_S = 3 * 3600.0
STATES = """
    SELECT count(*) FILTER (WHERE dispatch_no > 0) AS published, count(*) FILTER (WHERE attempt > 0) AS claimed,
           count(*) FILTER (WHERE state = 'succeeded') AS succeeded, sum(attempt) AS attempts
    FROM events
"""


def main(accounts: int, processes: int, command: Command) -> int:
    """Measure and print; 1 when not every account succeeded."""
    console = Console()
    names = [f"DU2{number:06}" for number in range(accounts)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with servers(root) as (postgres, redis):
            ledger = Ledger(postgres.url)
            with followers(root, ledger, redis, dict.fromkeys(names, ON_MARGIN)) as here:
                here.start_beat()
                here.start_worker(WORKER_CONCURRENCY=str(processes), LEASE_S="90", RETRY_DELAY_S="10", **WIDE_LIMITS)
                attempts = _measure(here, names, command, console)
            ledger.close()
    console.print(f"{attempts:,} attempts; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return int(not attempts)


def _measure(here: World, names: list[str], command: Command, console: Console) -> int:
    """Print each step when it is reached, and every minute how far it is; attempts in all, 0 if it did not end."""
    dispatcher, whole = Services.of(here.settings).dispatcher, len(names)
    signal = NewSignal(STRATEGY, "bench", command, {"exec": command})
    began = time.monotonic()
    with here.ledger.begin() as session:
        recorded = signal_intake.record(session, signal, [Addressee(name, STRATEGY) for name in names])
    console.print(f"recorded after {time.monotonic() - began:.2f} s")
    ids = {served.event_id for served in recorded.served}
    threading.Thread(target=dispatcher.publish_due, args=(ids,), daemon=True).start()  # as the listener does
    reached, minute = set(), 0
    while (now := time.monotonic() - began) < PATIENCE_S:
        with here.ledger.begin() as session:
            found = session.execute(text(STATES)).one()
        steps = {
            "first message published": found.published,
            "last message published": found.published >= whole,
            "first event claimed": found.claimed,
            "last event claimed": found.claimed >= whole,
            "last account done": found.succeeded >= whole,
        }
        for step in (step for step, done in steps.items() if done and step not in reached):
            reached.add(step)
            console.print(f"{step} after {now:.2f} s")
        if found.succeeded >= whole:
            return int(found.attempts)
        if now // 60 > minute:
            minute = now // 60
            console.print(f"  {now:.0f} s: {found.claimed:,} claimed, {found.succeeded:,} done")
        time.sleep(EVERY_S)
    return 0


if __name__ == "__main__":
    given = [*sys.argv[1:], *("2000", "2", Command.REBALANCE)[len(sys.argv) - 1 :]]
    sys.exit(main(int(given[0]), int(given[1]), Command(given[2])))
