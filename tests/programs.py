"""Programs of ours that tests start: see :mod:`sandbox.forked`."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.forked.programs import Started
from tests.conftest import ROOT

CLI = ("-c", "from rebalancer.cli import main; main()")


def completed(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """What :func:`subprocess.run` gives of it.

    Raises:
        subprocess.TimeoutExpired: it did not end, and is killed.
    """
    with tempfile.TemporaryDirectory() as written:
        output, errors = Path(written, "output"), Path(written, "errors")
        process = Started(arguments, environment, folder=folder, output=output, errors=errors)
        try:
            ended = process.wait(timeout_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess(list(arguments), ended, output.read_text(), errors.read_text())


class Heard(Started):
    """One whose output and errors are read while it runs."""

    def __init__(self, arguments: Sequence[str]) -> None:
        (outputs, said), (errors, wrong) = os.pipe(), os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        self.stdout, self.stderr = os.fdopen(outputs), os.fdopen(errors)
        super().__init__(arguments, os.environ, files=(nothing, said, wrong))
        for file in (nothing, said, wrong):
            os.close(file)

    def communicate(self) -> tuple[str, str]:
        """What it says from now on, until it has ended."""
        return self.stdout.read(), self.stderr.read()


@contextmanager
def heard(arguments: Sequence[str]) -> Iterator[Heard]:
    """Until the block ends."""
    program = Heard(arguments)
    with program.stdout, program.stderr:
        try:
            yield program
        finally:
            program.kill()
