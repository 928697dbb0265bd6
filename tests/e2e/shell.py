"""A second terminal: a shell that knows nothing of the stack but the folder that it is in."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rebalancer.runner.folder import folder_at
from rebalancer.runner.stopping import stop_everything
from sandbox.allocations.answers import load_answers
from sandbox.allocations.server import AllocationsServer
from tests.integration.ibkr.serving import ServedGateway
from tests.programs import completed
from tests.terminal import terminal
from tests.world import DEFAULT_SCENARIO, until

KEY = "the-providers-key"
BIN = Path(sys.executable).parent
START_S = 110
PLAIN = re.compile(r"(?:rebalancer|celery)(?: [\w./:=,-]+)*")


class Shell:
    """Types lines in a folder, with an environment as `env -i` leaves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "SHELL": "/bin/bash"}

    def run(self, line: str, deadline_s: float = 100, **environment: str) -> subprocess.CompletedProcess[str]:
        """What a line says, to a pipe. A line that needs no shell, one of our programs and its words, gets none."""
        if PLAIN.fullmatch(line):
            program, *words = line.split()
            return completed((str(BIN / program), *words), self.environment | environment, self.folder, deadline_s)
        return subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=deadline_s,
            stdin=subprocess.DEVNULL,
        )

    def expect(self, line: str, code: int = 0, told: str = "", **environment: str) -> str:
        """Output and errors of a line that ends with a code and says something."""
        done = self.run(line, **environment)
        said = done.stdout + done.stderr
        assert done.returncode == code, f"$ {line}\n{said}"
        assert told in said, f"$ {line}\n{said}"
        return said

    def wait_until_healthy(self) -> None:
        """Workers connect to the gateway in the background, after they are ready."""
        until(lambda: self.run("rebalancer health").returncode == 0, 60)

    @contextmanager
    def started(self, line: str, ready: str, data: str = ".rebalancer") -> Iterator[subprocess.Popen[bytes]]:
        """A line in a first terminal, which stays there; whatever it started is stopped afterwards."""
        log = self.folder / "first-terminal.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["/bin/bash", "-c", f"exec {line}"],
                cwd=self.folder,
                env=self.environment | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            until(lambda: ready in said(log) or process.poll() is not None, START_S, lambda: said(log))
            assert process.poll() is None, said(log)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            try:
                process.wait(60)
            finally:
                process.kill()
                process.wait()
            stop_everything(folder_at(self.folder / data), lambda _stage, _detail: None)


def said(log: Path) -> str:
    """What a process has written so far."""
    return log.read_text(errors="replace")


@contextmanager
def empty_folder() -> Iterator[Shell]:
    """A shell in an empty folder. Not below tmp_path: as root, PostgreSQL's user has to pass through."""
    with tempfile.TemporaryDirectory() as folder:
        yield Shell(Path(folder).resolve())


@contextmanager
def provider() -> Iterator[tuple[ServedGateway, AllocationsServer]]:
    """What `init` connects to: a gateway with seven accounts, and the provider of strategies."""
    gateway = ServedGateway(DEFAULT_SCENARIO, None)
    try:
        with AllocationsServer(load_answers(), key=KEY) as allocations:
            yield gateway, allocations
    finally:
        gateway.stop()


def answer_init(shell: Shell, gateway: ServedGateway, allocations: AllocationsServer, words: tuple[str, ...]) -> None:
    """`rebalancer init` as docs/getting-started.md shows it, with a slip in the key that is asked for again."""
    options = ("--port", str(gateway.port), "--allocations-url", allocations.url)
    dialogue = (
        ("Paper or live", ""),
        ("Host of the IB Gateway", ""),
        ("Key of the allocations API: ", "a-slip"),  # the blank comes when hidden input is read
        ("Key of the allocations API: ", KEY),
        ("Strategy of DU1000001", "1"),
        ("for the other 6 accounts too", ""),
        ("Percent that stays cash", ""),
        ("(empty: none): ", ""),
    )
    with terminal(shell.folder, *words, *options, environment=shell.environment) as shown:
        for question, answer in dialogue:
            shown.until(question)
            shown.type(answer)
        code, all_of_it = shown.rest()
    assert code == 0, all_of_it
    assert "Written: .env" in all_of_it
