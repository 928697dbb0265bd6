"""Identity of a process, so that one whose machine we share can be known to be dead.

Nothing here reads the wall clock: a process is told from an earlier one of the same pid by the tick of its start, which
the kernel counts from boot.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import psutil

PROC = Path("/proc")
PID_SPACE = (PROC / "sys/kernel/random/boot_id", PROC / "self/ns/pid", PROC / "self/ns/time")
"""What tells apart two places in which the same pid is another process, or the same tick another time."""

_STATE, _START_TICK = 0, 19
"""Places in /proc/PID/stat behind the name, see proc_pid_stat(5)."""
_ENDED = frozenset("ZXx")


def this_process() -> str:
    """``host/pid/start``: unique for ever, since a pid is reused but not together with its start."""
    return _identity(os.getpid())


def dead_among(identities: Iterable[str]) -> list[str]:
    """Those that ran on this machine and are gone. Nothing is said of other machines' processes, nor of what is hidden
    from us, such as another user's.
    """
    return [one for one in identities if _on_this_machine(one) and not _may_live(one)]


def _on_this_machine(identity: str) -> bool:
    """True for a process whose pid we could see: same host, same start of it, same container."""
    return identity.split("/", maxsplit=1)[0] == _place()


def _may_live(identity: str) -> bool:
    _, pid, start = identity.split("/")
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's: it is there, and perhaps tells its start
    return _start(int(pid)) in (start, None)


def _identity(pid: int) -> str:
    return f"{_place()}/{pid}/{_start(pid)}"


def _start(pid: int) -> str | None:
    """When the process began; empty when it has ended and only its parent does not know yet; ``None`` when hidden."""
    if not (PROC / "self/stat").exists():  # macOS, where the kernel keeps the time as it was
        try:
            return f"{psutil.Process(pid).create_time():.2f}"
        except psutil.Error:
            return None
    try:
        after_name = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return "" if after_name[_STATE] in _ENDED else after_name[_START_TICK]


@lru_cache(maxsize=1)
def _place() -> str:
    """Host name and a digest: hosts of one name exist, and containers may share the host's, but not its pids."""
    boot_id, *spaces = PID_SPACE
    if not boot_id.exists():  # macOS: no containers of this kind
        return socket.gethostname()
    known = " ".join((boot_id.read_text().strip(), *map(_namespace, spaces)))
    return f"{socket.gethostname()}.{hashlib.sha256(known.encode()).hexdigest()[:8]}"


def _namespace(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # a kernel without namespaces of this kind
        return ""
