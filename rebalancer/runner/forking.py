"""supervisord whose programs share what they load: `python -m rebalancer.runner.forking -c FILE`.

It loads once what the programs have in common, and each is a fork of it: a process with the environment, user, files
and working directory that supervisord gives it, whose module runs as ``python -m`` would run it. Memory that nobody
writes to counts once, and a program that is started again is up at once, with the code that the stack was started with.
Other commands than our own Python's are executed as by any supervisord.
"""

from __future__ import annotations

import atexit
import gc
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from supervisor import supervisord
from supervisor.options import ServerOptions

from rebalancer.config.loading import nothing_collected
from rebalancer.runner.neighbours import DISPATCHER

COMMON = (
    "rebalancer.config.lean",  # before anything else
    "rebalancer.config.lean_pool",  # before Celery
    "ably",
    "billiard.popen_fork",
    "billiard.sharedctypes",
    "celery.app.routes",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.base",
    "celery.concurrency.prefork",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.control",
    "celery.worker.strategy",
    "httpcore",
    "kombu.transport.redis",
    "psycopg2.extras",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "api.app",
    "listener.service",
    "rebalancer.ibkr.broker",
    "rebalancer.ibkr.connection",
    "rebalancer.ledger.presence",
    "rebalancer.ledger.run",
    "rebalancer.notifier.service",
    "rebalancer.operations.requests",
    "rebalancer.queueing.retry_policy",
    "rebalancer.services",
    "rebalancer.sources.targets",
    "rebalancer.sources.watch",
    "rebalancer.usecases.rebalance",
)
"""Nothing of it looks at the environment."""
_ITS_OWN = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)
"""What supervisord handles."""
_NAME = Path("/proc/self/comm")


def load(modules: Sequence[str]) -> None:
    """Load them, and have the collector leave them alone: it would write into each, and so copy it for each process.
    While they are loaded it has nothing to find, and would take a sixth of the time.
    """
    with nothing_collected():
        for module in modules:
            import_module(module)
        gc.collect()


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


def become(_options: ServerOptions, filename: str, argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Become a program, in the child that supervisord has prepared for it."""
    if argv[0] != sys.executable:
        os.execve(filename, list(argv), environment)  # noqa: S606 - what supervisord does
    for number in _ITS_OWN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if argv[1] != "-c":
        _NAME.write_text(" ".join(argv[2:4]))  # what `top` and `ps -e` show: "tasks worker", "sandbox gateway"
    os._exit(_ended(argv[1:], environment))


def supervise(execve: Callable[[ServerOptions, str, Sequence[str], Mapping[str, str]], None] = become) -> None:
    """Be supervisord, until it is told to end.

    Args:
        execve: what its children do where supervisord calls that.
    """
    ServerOptions.execve = execve
    supervisord.main()


def _ended(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run it, and all that Python does at the end of a process.

    Returns:
        Its exit code.
    """
    code = 0
    try:
        run(arguments, environment)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
    except BaseException:  # noqa: BLE001 - the edge of a process: as Python does, it is told and the process ends
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for its threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.argv.remove(DISPATCHER)  # for others to read only: beat has our command line
    load(COMMON)
    supervise()
