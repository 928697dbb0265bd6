"""Identity of a process, so that one whose machine we share can be known to be dead."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import psutil

PID_SPACE = (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid"))
"""What tells apart two places in which the same pid is another process."""


def this_process() -> str:
    """``host/pid/start``: unique for ever, since a pid is reused but not together with its start time."""
    return _identity(os.getpid())


def dead_among(identities: Iterable[str]) -> list[str]:
    """Those that ran on this machine and are gone. Nothing is said of other machines' processes."""
    return [one for one in identities if on_this_machine(one) and not _alive(one)]


def on_this_machine(identity: str) -> bool:
    """True for a process whose pid we could see: same host, same start of it, same container."""
    return identity.split("/", maxsplit=1)[0] == _place()


def _alive(identity: str) -> bool:
    try:
        return _identity(int(identity.split("/")[1])) == identity
    except psutil.NoSuchProcess:
        return False


def _identity(pid: int) -> str:
    return f"{_place()}/{pid}/{psutil.Process(pid).create_time():.2f}"


@lru_cache(maxsize=1)
def _place() -> str:
    """Host name and a digest: hosts of one name exist, and containers may share the host's, but not its pids."""
    boot_id, pids = PID_SPACE
    if not boot_id.exists():  # macOS: no containers of this kind
        return socket.gethostname()
    known = f"{boot_id.read_text().strip()} {pids.readlink()}"
    return f"{socket.gethostname()}.{hashlib.sha256(known.encode()).hexdigest()[:8]}"
