"""Free ports that stay the same from one start to the next.

Of two runners that look at the same moment each would find the same port free. So whoever chooses one holds the UDP
port of that number, which none of our servers uses: the kernel gives it to one process alone, until that ends.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from pathlib import Path

from rebalancer.domain.loopback import LOOPBACK

# Below the range from which systems serve outgoing connections (Linux 32768, macOS 49152): while a server is down,
# nobody's outgoing connection takes its port, and a client that keeps reconnecting cannot end up connected to itself.
CHOICES = range(20_000, 30_000)
_HELD: dict[Path, socket.socket] = {}
"""What this process holds, by the record of the port."""


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Any that is free now."""
    return next(filter(is_free, _candidates()))


def stable_port(record: Path, preferred: int | None = None) -> int:
    """A free port: the preferred one, else the one used last time, else any; remembered in ``record``, and no other
    runner's until :func:`release` or the end of this process.
    """
    port = next(port for port in _candidates(preferred, _recorded(record)) if is_free(port) and _hold(record, port))
    record.write_text(f"{port}\n")
    return port


def release(folder: Path) -> None:
    """Give back the ports whose records lie in a folder."""
    for record in [one for one in tuple(_HELD) if folder in one.parents]:
        _HELD.pop(record).close()


def _candidates(*preferred: int | None) -> Iterator[int]:
    yield from (port for port in preferred if port is not None)
    while True:
        yield random.choice(CHOICES)  # noqa: S311 - no secret


def _hold(record: Path, port: int) -> bool:
    """Whether it is ours, from now on if not before."""
    known = _HELD.get(record)
    if known is not None and known.getsockname()[1] == port:
        return True
    mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        mine.bind((LOOPBACK, port))
    except OSError:
        mine.close()
        return False
    if known is not None:
        known.close()
    _HELD[record] = mine
    return True


def _recorded(record: Path) -> int | None:
    if not record.exists():
        return None
    text = record.read_text().strip()
    return int(text) if text.isdecimal() else None
