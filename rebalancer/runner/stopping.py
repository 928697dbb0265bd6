"""Stopping what runs in a data folder, in order, whoever started it and whatever is left of it."""

from __future__ import annotations

import signal
from collections.abc import Callable

from rebalancer.config.running_stack import MARK
from rebalancer.runner.folder import Folder
from rebalancer.runner.postgres import cluster_pid
from rebalancer.runner.processes import alive, carrying, recorded_pid, roots, send
from rebalancer.runner.programs import WORKER_STOP_S, Group
from rebalancer.runner.redis import folder_pid
from rebalancer.runner.supervision import GONE, ProgramState, ShuttingDown, Supervisor
from rebalancer.runner.waiting import wait_until

LONGEST_STOP_S = WORKER_STOP_S + 60
SERVER_STOP_S = 60.0
Progress = Callable[[str, str], None]


def stop_everything(folder: Folder, progress: Progress) -> None:
    """Stop the supervised programs, then supervisord, then whatever a killed supervisord left behind.

    Each step only asks and waits, so that several may stop the same stack at once. Interrupted at any point,
    supervisord is told to finish alone.
    """
    supervisor = Supervisor(folder.supervisor_socket())
    if (pid := supervisor.pid() or _unanswering(folder)) is not None:
        _stop_supervised(supervisor, pid, progress)
    _stop_leftovers(folder, progress)


def _unanswering(folder: Folder) -> int | None:
    """A supervisord that is shutting down already: it answers no questions, yet must not be overtaken."""
    pid = recorded_pid(folder.supervisor_pid)
    return pid if pid in carrying(MARK, str(folder.root)) else None


def _stop_supervised(supervisor: Supervisor, pid: int, progress: Progress) -> None:
    try:
        for group in reversed(Group):
            _stop_group(supervisor, group, progress)
    except (ShuttingDown, OSError):
        progress("stopping", "supervisord is at it already")
    finally:
        _shut_down(supervisor)
    wait_until(lambda: not alive(pid), LONGEST_STOP_S)


def _stop_group(supervisor: Supervisor, group: Group, progress: Progress) -> None:
    def running() -> list[ProgramState]:
        return [one for one in supervisor.programs() if one.group is group and one.state not in GONE]

    if states := running():
        progress("stopping", ", ".join(one.name for one in states))
    for state in states:
        supervisor.stop(state)
    wait_until(lambda: not running(), LONGEST_STOP_S)


def _shut_down(supervisor: Supervisor) -> None:
    try:
        supervisor.shutdown()
    except (ShuttingDown, OSError):
        return  # it is going, or gone


def _stop_leftovers(folder: Folder, progress: Progress) -> None:
    """Programs survive a supervisord that was killed. First those that work, then the servers that they work with."""
    servers = {
        pid: stop
        for pid, stop in (
            (folder_pid(folder.redis), signal.SIGTERM),
            (cluster_pid(folder.postgres), signal.SIGINT),
        )
        if pid is not None
    }
    programs = roots(carrying(MARK, str(folder.root))) - servers.keys()
    if programs or servers:
        progress("recovering", f"stopping {len(programs) + len(servers)} programs left by a killed supervisord")
    _end(dict.fromkeys(programs, signal.SIGTERM), LONGEST_STOP_S)
    _end(servers, SERVER_STOP_S)


def _end(signals: dict[int, signal.Signals], patience_s: float) -> None:
    for pid, signal_number in signals.items():
        send(pid, signal_number)
    wait_until(lambda: not any(map(alive, signals)), patience_s)
    for pid in filter(alive, signals):
        send(pid, signal.SIGKILL)
