"""What a running stack takes up, program by program, and what has gathered in its stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
import redis

from rebalancer.ledger.admin import connections, row_counts
from rebalancer.ledger.session import Ledger
from rebalancer.runner.processes import recorded_pid
from rebalancer.runner.site import SANDBOX_PROGRAMS
from rebalancer.runner.stack import Stack

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one program, all its processes together.

    Attributes:
        pss: MiB; pages that several processes share count in proportion.
        private: MiB that each process shares with nobody, the program's first process first.
        handles: open files and sockets.
        cpu_s: processor time so far, that of ended processes included.
    """

    processes: int = 0
    pss: float = 0.0
    private: tuple[float, ...] = ()
    handles: int = 0
    threads: int = 0
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Gathered:
    """In the stores.

    Attributes:
        rows: by table.
        connections: to PostgreSQL.
        clients / keys: Redis'.
        redis: MiB that it uses.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    connections: int = 0
    clients: int = 0
    keys: int = 0
    redis: float = 0.0


def costs(stack: Stack) -> dict[str, Cost]:
    """By program, supervisord among them; the simulated outside world is left out."""
    pid = recorded_pid(stack.site.folder.supervisor_pid)
    supervisor = {} if pid is None else {"supervisord": _together([psutil.Process(pid)])}
    return supervisor | {
        one.name: _cost(psutil.Process(one.pid))
        for one in stack.programs()
        if one.pid is not None and not one.name.startswith(SANDBOX_PROGRAMS)
    }


def gathered(ledger: Ledger, redis_url: str) -> Gathered:
    """Counted row by row, which is exact, and slow where there are many."""
    with ledger.begin() as session:
        rows, open_connections = row_counts.by_table(session), connections.count(session)
    with redis.Redis.from_url(redis_url) as client:
        used, clients = client.info("memory")["used_memory"], client.info("clients")["connected_clients"]
        return Gathered(rows, open_connections, clients, client.dbsize(), used / MIB)


def _cost(root: psutil.Process) -> Cost:
    return _together([root, *root.children(recursive=True)])


def _together(processes: Sequence[psutil.Process]) -> Cost:
    made = Cost()
    for process in processes:
        with suppress(psutil.NoSuchProcess), process.oneshot():
            memory, times = process.memory_full_info(), process.cpu_times()
            made = Cost(
                made.processes + 1,
                made.pss + memory.pss / MIB,
                (*made.private, memory.uss / MIB),
                made.handles + process.num_fds(),
                made.threads + process.num_threads(),
                made.cpu_s + sum(times[:4]),
            )
    return made
