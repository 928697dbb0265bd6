"""Other processes of this machine, by pid."""

from __future__ import annotations

import os
import signal
from collections.abc import Set
from contextlib import suppress
from pathlib import Path

import psutil


def alive(pid: int) -> bool:
    """Whether it still runs; one that ended and was not yet reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def name_of(pid: int) -> str:
    """The program's name, empty when there is no such process."""
    try:
        return str(psutil.Process(pid).name())
    except psutil.NoSuchProcess:
        return ""


def recorded_pid(pid_file: Path) -> int | None:
    """The first line of a pid file; None when there is no usable one."""
    try:
        first = pid_file.read_text().split("\n", 1)[0].strip()
    except FileNotFoundError:
        return None
    return int(first) if first.isdecimal() else None


def carrying(variable: str, value: str) -> set[int]:
    """Pids of the processes started with this in their environment, without us and those that started us."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return {
        process.pid
        for process in psutil.process_iter()
        if process.pid not in ours and _carries(process, variable, value)
    }


def roots(pids: Set[int]) -> set[int]:
    """Those whose parent is not among them: a program ends its own children best."""
    return {pid for pid in pids if _parent(pid) not in pids}


def send(pid: int, signal_number: signal.Signals) -> None:
    """Signal a process that may just have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal_number)


def _carries(process: psutil.Process, variable: str, value: str) -> bool:
    try:
        return bool(process.environ().get(variable) == value)
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # the latter: somebody else's, hence not ours
        return False


def _parent(pid: int) -> int | None:
    try:
        return int(psutil.Process(pid).ppid())
    except psutil.NoSuchProcess:
        return None
