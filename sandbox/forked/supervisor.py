"""supervisord that is a fork itself, of what tests have loaded: see :mod:`rebalancer.runner.forking`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rebalancer.runner.forking import supervise
from rebalancer.runner.supervision import PRIVATE
from sandbox.forked.programs import Started


def begin_forked(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Started:
    """Such a supervisord, as :data:`rebalancer.runner.supervision.Begin` has it."""
    return Started(("-m", __spec__.name, *argv[argv.index("-c") :]), environment, output=log)


if __name__ == "__main__":
    os.umask(PRIVATE)
    supervise()
