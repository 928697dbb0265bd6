"""Other installations at work on this machine: two that trade the same accounts must not run beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

from rebalancer.config.running_stack import MARK
from rebalancer.runner.folder import Folder

DISPATCHER = "tasks.beat:LedgerScheduler"
"""In the command line of every installation's dispatcher, however it was started: anybody may read that."""


def neighbours(folder: Folder) -> tuple[str, ...]:
    """Where they are: data folders, or processes whose folder cannot be seen. Sandboxes trade nothing and are left out,
    and so is what a killed runner left in this folder.
    """
    return tuple(sorted(set(_places(str(folder.root)))))


def _places(ours: str) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            if DISPATCHER not in process.cmdline():
                continue
            root = _folder_of(process)
            if root != ours and not (root and _simulated(Path(root))):
                yield root or f"process {process.pid} of {process.username()}"
        except psutil.Error:
            continue  # it has ended


def _folder_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except psutil.AccessDenied:  # another user's, or a container's
        return None


def _simulated(root: Path) -> bool:
    try:
        return (root / "world").read_text().strip() == "sandbox"
    except OSError:
        return False
