"""What our programs have in common to load, and how a fork becomes one of them."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import chain

from rebalancer.runner.forking import COMMON, load, run

OURS = (
    "celery.bin.celery",
    "typer",
    "rebalancer.cli",
    "sandbox.cli",
    "sandbox.ably.run",
    "sandbox.allocations.server",
    "sandbox.gateway.run",
)
"""Nothing of it looks at the environment."""

load((*COMMON, *OURS))
commands = chain.from_iterable(panel.values() for panel in import_module("rebalancer.cli.main").COMMANDS.values())
load(sorted({place.partition(":")[0] for place in commands}))


def become(arguments: Sequence[str], environment: Mapping[str, str], folder: str, output: str, errors: str) -> None:
    """Become ``python ARGUMENTS`` in a session of its own.

    Args:
        output: file that what it says is added to, and ``errors`` likewise.
    """
    os.setsid()
    os.chdir(folder)
    _redirect(0, os.devnull, os.O_RDONLY)
    _redirect(1, output, os.O_WRONLY | os.O_APPEND)
    _redirect(2, errors, os.O_WRONLY | os.O_APPEND)
    try:
        run(arguments, environment)
    finally:
        atexit._run_exitfuncs()


def _redirect(number: int, file: str, flags: int) -> None:
    opened = os.open(file, flags)
    os.dup2(opened, number)
    os.close(opened)
