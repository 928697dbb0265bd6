"""Seconds of processor: what other programs take of this machine is not in them, as it is in those of the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from sqlalchemy import text

from rebalancer.ledger.session import Ledger


@contextmanager
def with_its_server(ledger: Ledger) -> Iterator[Callable[[], float]]:
    """Gives what tells the seconds that we, and the process of PostgreSQL that serves us, have computed so far. In the
    block one thread asks the ledger, one question at a time: the process stays the same, and no other helps it.
    """
    with ledger.begin() as session:
        session.execute(text("SET max_parallel_workers_per_gather = 0"))
        server: int = session.scalars(text("SELECT pg_backend_pid()")).one()
    yield lambda: time.process_time() + _taken_s(server)
    with ledger.begin() as session:
        session.execute(text("RESET max_parallel_workers_per_gather"))
        assert session.scalars(text("SELECT pg_backend_pid()")).one() == server


def _taken_s(pid: int) -> float:
    """Linux counts nanoseconds beside its hundredths of a second."""
    counted = Path(f"/proc/{pid}/schedstat")
    if counted.exists():
        return int(counted.read_text().split()[0]) / 1e9
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
