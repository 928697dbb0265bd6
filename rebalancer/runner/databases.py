"""The database of a data folder, for those who come from outside the stack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rebalancer.domain.errors import ConfigurationError
from rebalancer.runner.folder import Folder, folder_at, only_runner
from rebalancer.runner.postgres import cluster_pid, prepare_postgres
from rebalancer.runner.servers import running_postgres


def running_database(folder: Folder) -> str | None:
    """URL of the PostgreSQL that runs in the folder; ``None`` where none does."""
    if not folder.postgres.exists() or cluster_pid(folder.postgres) is None:
        return None
    return prepare_postgres(folder.postgres).url


@contextmanager
def database_of(data: Path) -> Iterator[str]:
    """URL of the folder's PostgreSQL, which is started for the time of the block if the stack is down.

    Raises:
        ConfigurationError: no stack was ever started there.
    """
    folder = folder_at(data)
    if not folder.postgres.exists():
        raise ConfigurationError([f"{folder.root} holds no database: name the folder of `rebalancer up` with --data"])
    if (url := running_database(folder)) is not None:
        yield url
        return
    with only_runner(folder), running_postgres(folder.postgres) as server:
        yield server.url
