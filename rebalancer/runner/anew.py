"""Beginning anew in a folder whose contents are worth nothing: the demo's."""

from __future__ import annotations

from pathlib import Path

from rebalancer.config.running_stack import world_of
from rebalancer.domain.errors import ConfigurationError
from rebalancer.runner.folder import Folder, delete_contents, folder_at, only_runner
from rebalancer.runner.stopping import Progress, stop_everything
from rebalancer.runner.waiting import wait_until

TAKE_OVER_S = 60.0
LOOK_S = 0.2


def begin_anew(data: Path, progress: Progress) -> None:
    """Stop whatever still runs in a sandbox's folder, whoever started it, and delete what is left: simulated books
    without their ledger, or the other way round, would contradict each other.

    Raises:
        ConfigurationError: the folder belongs to a real broker, or its runner does not let go of it.
    """
    folder = folder_at(data)
    if world_of(folder.root) == "broker":
        raise ConfigurationError([f"{folder.root} holds the ledger of a broker: the demo does not touch it"])
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    stop_everything(folder, progress)
    if not wait_until(lambda: _emptied(folder, progress), TAKE_OVER_S, poll_s=LOOK_S):
        with only_runner(folder):  # says who holds it
            delete_contents(folder)


def _emptied(folder: Folder, progress: Progress) -> bool:
    """Whether the folder is ours and empty; a runner that is just starting is stopped as soon as it can be."""
    try:
        with only_runner(folder):
            delete_contents(folder)
    except ConfigurationError:
        stop_everything(folder, progress)
        return False
    return True
