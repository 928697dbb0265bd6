"""A terminal with `rebalancer` running in it, as a person has it in front of them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import ROOT
from tests.programs import CLI, Started

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
Process = Started | subprocess.Popen[bytes]
Begin = Callable[[Sequence[str], Path, Mapping[str, str], int], Process]


class Terminal:
    """What a program shows, and what is typed to it."""

    def __init__(self, process: Process, screen: int) -> None:
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
        self.press(f"{line}\n")

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._screen, keys.encode())

    def interrupt(self) -> int:
        """Press Ctrl-C; and again, as a person would, where it comes just before Python reads the terminal: it is
        noticed at the next key then.

        Returns:
            The exit code.
        """
        for _ in range(4):
            os.killpg(self._process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(5)
        return self._process.wait(0)

    def rest(self) -> tuple[int, str]:
        """Wait until the program has ended.

        Returns:
            Its exit code and all that it has shown, without colours.
        """
        with suppress(OSError):  # the program has ended
            while read := os.read(self._screen, 65_536):
                self.shown += read.decode(errors="replace")
        return self._process.wait(60), CONTROL.sub("", self.shown).replace("\r", "")

    def _read(self) -> str:
        with suppress(OSError):  # the program has ended
            return os.read(self._screen, 65_536).decode(errors="replace")
        raise AssertionError(f"the program ended: {self.shown[-2000:]}")


def screenful(folder: Path, *arguments: str, columns: int = 80) -> tuple[int, str]:
    """What `rebalancer ARGUMENTS` shows in a terminal of that width, without colours, and its exit code."""
    with terminal(folder, *arguments, columns=columns, begin=_forked) as shown:
        return shown.rest()


def _forked(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], inside: int) -> Started:
    return Started((*CLI, *arguments), environment, folder=folder, files=(inside,) * 3)


def _executed(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], inside: int
) -> subprocess.Popen[bytes]:
    command = (sys.executable, *CLI, *arguments)
    files = {"stdin": inside, "stdout": inside, "stderr": inside}
    return subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, **files)


@contextmanager
def terminal(
    folder: Path,
    *arguments: str,
    columns: int = 200,
    environment: Mapping[str, str] | None = None,
    begin: Begin = _executed,
) -> Iterator[Terminal]:
    """`rebalancer ARGUMENTS` in a folder.

    Args:
        environment: all of it; else this process' own.
        begin: as a new Python, which has everything to load, or as a fork.
    """
    screen, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    given = os.environ if environment is None else environment
    own = {name: text for name, text in given.items() if name not in ("COLUMNS", "LINES")}
    process = begin(arguments, folder, own | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}, inside)
    os.close(inside)
    try:
        yield Terminal(process, screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)
