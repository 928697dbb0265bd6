"""supervisord, which turns each child into its program without loading anything anew: ``python -m`` as an argument."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from supervisor import supervisord
from supervisor.options import ServerOptions

from rebalancer.runner.supervision import PRIVATE
from sandbox.forked import clock
from sandbox.forked.preload import run
from sandbox.forked.programs import Started

_ITS_OWN = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)
"""What supervisord handles."""


def execve(_options: ServerOptions, filename: str, argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Become a program, in the child that supervisord has prepared for it."""
    if argv[0] != sys.executable:
        os.execve(filename, list(argv), environment)  # noqa: S606 - what supervisord does
    for number in _ITS_OWN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if clock.VARIABLE in environment and argv[1] == "-m":  # the stand-ins are scripts, and go by the true time
        clock.go_by(Path(environment[clock.VARIABLE]))
    os._exit(_ended(argv[1:], environment))


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
    except BaseException:  # noqa: BLE001 - the edge of a process: as Python does, it is told and the process ends
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for its threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def begin_forked(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Started:
    """Such a supervisord, as :data:`rebalancer.runner.supervision.Begin` has it."""
    return Started(("-m", __spec__.name, *argv[argv.index("-c") :]), environment, output=log)


if __name__ == "__main__":
    os.umask(PRIVATE)
    ServerOptions.execve = execve
    supervisord.main()
