"""The servers that the program brings along, and running ones for tests."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rebalancer.runner.failure import StartFailed
from rebalancer.runner.ports import release
from rebalancer.runner.postgres import prepare_postgres
from rebalancer.runner.redis import prepare_redis
from rebalancer.runner.server import Server
from rebalancer.runner.waiting import wait_until

START_S = 30.0
STOP_S = 30.0
RETRY_S = 0.1


class RunningServer:
    """A server as a child of this process, to be killed and restarted at will; its data and URL stay.

    Args:
        prepare: asked before each start.
    """

    def __init__(self, prepare: Callable[[], Server], log: Path) -> None:
        self._prepare = prepare
        self.server = prepare()
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self, deadline_s: float = START_S) -> None:
        """Start it and wait until it answers. A server that gives up is started again until the deadline: PostgreSQL
        refuses while the last processes of a killed predecessor are still going away.
        """
        if not wait_until(self._is_up, deadline_s):
            self.kill()
            raise StartFailed(self.server.name, f"not ready after {deadline_s:g} s", self.log, "see its log")

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it properly; nothing to do when it is down already."""
        if self._process is not None:
            self._end(self.server.stop_signal)

    def restart(self) -> None:
        """Stop it, if it is up, and start it again."""
        self.stop()
        self.start()

    def _is_up(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            self.server = self._prepare()
            self._process = self._spawn()
        return self.server.is_ready() and self._process.poll() is None

    def _spawn(self) -> subprocess.Popen[bytes]:
        user = self.server.user
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own command line
                self.server.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,  # a Ctrl-C at the terminal is for the tests, which then stop it
                user=user,
                group=user,
                extra_groups=[] if user else None,
            )

    def _end(self, signal_number: signal.Signals) -> None:
        process = self._running()
        process.send_signal(signal_number)
        process.wait(STOP_S)
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.server.name} is not running")
        return self._process


@contextmanager
def running_postgres(data_dir: Path) -> Iterator[RunningServer]:
    """A PostgreSQL of its own in a folder, up until the block ends; its data stays in the folder."""
    with _running(lambda: prepare_postgres(data_dir), data_dir) as server:
        yield server


@contextmanager
def running_redis(data_dir: Path, port: int | None = None) -> Iterator[RunningServer]:
    """A Redis of its own in a folder, up until the block ends; its data stays in the folder."""
    with _running(lambda: prepare_redis(data_dir, port), data_dir) as server:
        yield server


@contextmanager
def _running(prepare: Callable[[], Server], data_dir: Path) -> Iterator[RunningServer]:
    running = RunningServer(prepare, data_dir.absolute() / "server.log")
    running.start()
    try:
        yield running
    finally:
        running.stop()
        release(data_dir.absolute())
