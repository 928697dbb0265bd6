"""`python -m tests.tools.in_memory COMMAND ...`: where there is room, what it puts into temporary folders is in memory.

Tests start some hundred servers that write some thousand files each; on a disk that takes a seventh of their time.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has it
ROOM_BYTES = 4 << 30
FAILED = 1
"""pytest's exit code when a test has; it is another when it was interrupted."""


def main(command: Sequence[str], memory: Path = MEMORY, room_bytes: int = ROOM_BYTES) -> int:
    """Its exit code. What it has left is removed, unless a test has failed: then it is told where to look."""
    if not memory.is_dir() or shutil.disk_usage(memory).free < room_bytes:
        return subprocess.call(command)
    folder = tempfile.mkdtemp(prefix="t", dir=memory)  # short: paths of sockets have to be
    before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for the command, and we wait until it has ended
    try:
        code = subprocess.call(command, env={**os.environ, "TMPDIR": folder})
    finally:
        signal.signal(signal.SIGINT, before)
    if code == FAILED:
        print(f"what the tests have left is in {folder}: remove it, it is memory", flush=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
