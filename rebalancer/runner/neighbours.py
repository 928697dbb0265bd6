"""Other installations at work on this machine: two that trade the same accounts must not run beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from rebalancer.config.running_stack import MARK
from rebalancer.runner.folder import Folder
from rebalancer.runner.processes import roots

DISPATCHER = "tasks.beat:LedgerScheduler"
"""In the command line of every installation's dispatcher, however it was started: anybody may read that. Where it is a
fork of the supervisor, all that it has forked have the same."""


def neighbours(folder: Folder) -> tuple[str, ...]:
    """Where they are: data folders, or processes whose folder cannot be seen. Sandboxes trade nothing and are left out,
    and so is what a killed runner left in this folder.
    """
    return tuple(sorted(set(_places(str(folder.root)))))


def _places(ours: str) -> Iterator[str]:
    found = {process.pid: process for process in psutil.process_iter() if _dispatches(process)}
    for pid in roots(found.keys()):
        with suppress(psutil.Error):  # it has ended
            root = _folder_of(found[pid])
            if root != ours and not (root and _simulated(Path(root))):
                yield root or f"process {pid} of {found[pid].username()}"


def _dispatches(process: psutil.Process) -> bool:
    try:
        return DISPATCHER in process.cmdline()
    except psutil.Error:  # it has ended
        return False


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
