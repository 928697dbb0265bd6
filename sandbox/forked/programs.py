"""A program as a fork. By itself a worker loads for a second and more; apart from that each is for real: a process in a
session of its own, with its environment and its module run as ``python -m`` does.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from sandbox.forked.preload import become
from sandbox.forked.server import CONTEXT

ROOT = Path(__file__).parents[2]


class Started:
    """One of them, as :class:`subprocess.Popen` has it.

    Args:
        arguments: as Python takes them: ``-m MODULE ...`` or ``-c CODE ...``.
        output: is added to.
        errors: by default they go there too.
        files: input, output and errors, open in this process, in the place of those.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        folder: Path = ROOT,
        output: Path = Path(os.devnull),
        errors: Path | None = None,
        files: Sequence[int] | None = None,
    ) -> None:
        with _opened(output, errors or output) as found:
            passed = [Connection(os.dup(file)) for file in files or found]
            told = (list(arguments), dict(environment), str(folder), passed)
            self._process = CONTEXT.Process(target=become, args=told, daemon=False)
            self._process.start()
        self._arguments = arguments
        assert self._process.pid is not None  # noqa: S101 - it was started
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; negative: by which signal."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        self._process.join(timeout)
        ended = self._process.exitcode
        if ended is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        return ended

    def send_signal(self, number: int) -> None:
        """To it alone; what ends meanwhile is told a moment later."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all its children as a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.send_signal(signal.SIGKILL)  # it may not have had the time to found a session
        self.wait()


@contextmanager
def _opened(output: Path, errors: Path) -> Iterator[tuple[int, int, int]]:
    with Path(os.devnull).open() as nothing, output.open("a") as said, errors.open("a") as wrong:
        yield nothing.fileno(), said.fileno(), wrong.fileno()
