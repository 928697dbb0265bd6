"""Programs of ours that tests start: see :mod:`sandbox.forked`."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
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
