"""Identity of a process, so that one whose machine we share can be known to be dead."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

import psutil


def this_process() -> str:
    """``host/pid/start``: unique for ever, since a pid is reused but not together with its start time."""
    return _identity(os.getpid())


def dead_among(identities: Iterable[str]) -> list[str]:
    """Those that ran on this machine and are gone. Nothing is said of other machines' processes."""
    host = socket.gethostname()
    return [one for one in identities if one.split("/")[0] == host and not _alive(one)]


def _alive(identity: str) -> bool:
    try:
        return _identity(int(identity.split("/")[1])) == identity
    except psutil.NoSuchProcess:
        return False


def _identity(pid: int) -> str:
    return f"{socket.gethostname()}/{pid}/{psutil.Process(pid).create_time():.2f}"
