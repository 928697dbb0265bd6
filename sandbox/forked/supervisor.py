"""supervisord that is a fork itself, of what tests have loaded: see :mod:`rebalancer.runner.forking`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from supervisor.options import ServerOptions

from rebalancer.runner.forking import become, supervise
from rebalancer.runner.supervision import PRIVATE
from sandbox.forked import clock
from sandbox.forked.programs import Started


def execve(options: ServerOptions, filename: str, argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Become a program, which may go by a clock that the trial sets."""
    if clock.VARIABLE in environment and argv[1] == "-m":  # the stand-ins are scripts, and go by the true time
        clock.go_by(Path(environment[clock.VARIABLE]))
    become(options, filename, argv, environment)


def begin_forked(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Started:
    """Such a supervisord, as :data:`rebalancer.runner.supervision.Begin` has it."""
    return Started(("-m", __spec__.name, *argv[argv.index("-c") :]), environment, output=log)


if __name__ == "__main__":
    os.umask(PRIVATE)
    supervise(execve)
