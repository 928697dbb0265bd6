"""Free ports that stay the same from one start to the next."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from rebalancer.domain.loopback import LOOPBACK

# Below the range from which systems serve outgoing connections (Linux 32768, macOS 49152): while a server is down,
# nobody's outgoing connection takes its port, and a client that keeps reconnecting cannot end up connected to itself.
CHOICES = range(20_000, 30_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(*preferred: int | None) -> int:
    """The first preferred port that is free, else any."""
    for port in preferred:
        if port is not None and is_free(port):
            return port
    while True:
        choice = random.choice(CHOICES)  # noqa: S311 - no secret
        if is_free(choice):
            return choice


def stable_port(record: Path, preferred: int | None = None) -> int:
    """A free port: the preferred one, else the one used last time, else any; remembered in ``record``."""
    port = free_port(preferred, _recorded(record))
    record.write_text(f"{port}\n")
    return port


def _recorded(record: Path) -> int | None:
    if not record.exists():
        return None
    text = record.read_text().strip()
    return int(text) if text.isdecimal() else None
