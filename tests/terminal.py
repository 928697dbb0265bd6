"""A terminal with `rebalancer` running in it, as a person has it in front of them."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import ROOT

PROGRAM = (sys.executable, "-c", "from rebalancer.cli import main; main()")


class Terminal:
    """What a program shows, and what is typed to it."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self._process = process
        self._screen = screen
        self.shown = ""

    def until(self, text: str, deadline_s: float = 30) -> None:
        """Wait until the program has shown a text that was not there at the last call."""
        fresh = ""
        deadline = time.monotonic() + deadline_s
        while text not in fresh:
            assert time.monotonic() < deadline, f"{text!r} was not shown: {self.shown[-2000:]}"
            if select.select([self._screen], [], [], 0.5)[0]:
                fresh += self._read()
        self.shown += fresh

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._screen, f"{line}\n".encode())

    def interrupt(self) -> int:
        """Press Ctrl-C.

        Returns:
            The exit code.
        """
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(20)

    def _read(self) -> str:
        with suppress(OSError):  # the program has ended
            return os.read(self._screen, 65_536).decode(errors="replace")
        raise AssertionError(f"the program ended: {self.shown[-2000:]}")


@contextmanager
def terminal(folder: Path, *arguments: str) -> Iterator[Terminal]:
    """`rebalancer ARGUMENTS` in a folder, with this process' environment."""
    screen, inside = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200"},
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    try:
        yield Terminal(process, screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)
