"""What our programs have in common to load, and how a fork becomes one of them."""

from __future__ import annotations

import atexit
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

FOR_ALL = (
    "rebalancer.config.lean",  # before anything else
    "ably",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.control",
    "celery.worker.strategy",
    "kombu.transport.redis",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "typer",
    "api.app",
    "listener.service",
    "rebalancer.ibkr.broker",
    "rebalancer.ibkr.connection",
    "rebalancer.operations.requests",
    "rebalancer.services",
    "rebalancer.usecases.rebalance",
    "supervisor.supervisord",
    "rebalancer.cli",
    "sandbox.cli",
    "sandbox.ably.run",
    "sandbox.allocations.server",
    "sandbox.gateway.run",
)
"""Nothing of it looks at the environment."""

for module in FOR_ALL:
    import_module(module)


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


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Do what ``python ARGUMENTS`` does, with the standard files that this process has.

    Args:
        arguments: ``-m MODULE ...``, ``-c CODE ...`` or ``SCRIPT ...``.
    """
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lasts as long as the process
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    form, *rest = arguments
    if form not in {"-m", "-c"}:
        sys.argv = list(arguments)
        runpy.run_path(form, run_name="__main__")
        return
    what = rest.pop(0)
    sys.argv = [what if form == "-m" else form, *rest]
    if form == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})  # noqa: S102 - as Python's own -c


def _redirect(number: int, file: str, flags: int) -> None:
    opened = os.open(file, flags)
    os.dup2(opened, number)
    os.close(opened)
