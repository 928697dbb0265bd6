"""What our programs have in common to load, and how a fork becomes one of them."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import chain
from multiprocessing.connection import Connection

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
"""Nothing of it looks at the environment, but for a width that consoles would keep."""


def _load() -> None:
    columns = os.environ.pop("COLUMNS", None)
    load((*COMMON, *OURS))
    commands = chain.from_iterable(panel.values() for panel in import_module("rebalancer.cli.main").COMMANDS.values())
    load(sorted({place.partition(":")[0] for place in commands}))
    if columns is not None:
        os.environ["COLUMNS"] = columns


_load()


def become(arguments: Sequence[str], environment: Mapping[str, str], folder: str, files: Sequence[Connection]) -> None:
    """Become ``python ARGUMENTS`` in a session of its own.

    Args:
        files: its standard ones. Connections are what multiprocessing hands over.
    """
    os.setsid()
    os.chdir(folder)
    for number, file in enumerate(files):
        os.dup2(file.fileno(), number)
        file.close()
    try:
        run(arguments, environment)
    finally:
        atexit._run_exitfuncs()
