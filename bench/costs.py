"""What processes and PostgreSQL spend, counted from outside: processor time, and statements by its log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from sqlalchemy import text

from rebalancer.ledger.session import Ledger

_STATEMENT = re.compile(r"\[(\d+)\] LOG:  statement: (\w+)(.*)")
_ENDS = frozenset({"COMMIT", "ROLLBACK"})
_NOT_THE_RUNS = "heartbeats"
"""A sign of life that a process gives every few seconds, whatever it does."""


def processor_s(pids: Iterable[int]) -> dict[int, float]:
    """Seconds by process so far, of all its threads that live."""
    found = {}
    for pid in pids:
        with suppress(OSError):  # it has ended since it was listed
            tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
            found[pid] = sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
    return found


def spent_s(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Seconds between two such looks; who came in between counts whole."""
    return sum(seconds - before.get(pid, 0) for pid, seconds in after.items())


def family(pid: int) -> list[int]:
    """A process and its children."""
    root = psutil.Process(pid)
    return [root.pid, *(child.pid for child in root.children(recursive=True))]


def log_statements(ledger: Ledger, *, on: bool) -> None:
    """Let PostgreSQL write every statement into its log, or no more."""
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER SYSTEM SET log_statement = '{'all' if on else 'none'}'"))
        connection.execute(text("SELECT pg_reload_conf()"))


def statements(log: str, others: Iterable[int]) -> Counter[str]:
    """What the log tells: all ``statements``, and those among them that end a ``transaction`` or only ``begin`` one.

    Args:
        others: backends whose statements are not counted.
    """
    skipped, told = {str(pid) for pid in others}, Counter[str]()
    pending: dict[str, int] = {}
    for pid, word, rest in _STATEMENT.findall(log):
        if pid in skipped:
            continue
        if word == "BEGIN":
            pending[pid] = 1
            continue
        if _NOT_THE_RUNS in rest:
            pending[pid] = -100  # the whole transaction
        seen = pending.get(pid, 0)
        pending[pid] = seen + 1
        if word in _ENDS:
            if seen > 0:
                told["transactions"] += 1
                told["statements"] += seen + 1
            pending[pid] = 0
        elif not seen:  # alone, committed by itself
            told["transactions"] += 1
            told["statements"] += 1
            pending[pid] = 0
    return told
