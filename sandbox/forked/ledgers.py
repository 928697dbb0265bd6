"""A ledger that is new, made once: a cluster of PostgreSQL with all migrations, to be copied for each stack."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rebalancer.runner.servers import running_postgres
from rebalancer.runner.stack import MIGRATE
from sandbox.forked.programs import Started

NO_SYNC = "fsync = off\n"
"""What a killed PostgreSQL has written is with the kernel; only a machine that loses power would lose it."""


@contextmanager
def new_ledger() -> Iterator[Path]:
    """The cluster's folder, until the block ends."""
    with TemporaryDirectory(prefix="ledger-") as folder:
        with running_postgres(Path(folder)) as server:
            environment = os.environ | {"DATABASE_URL": server.url, "ENV_FILE": os.devnull}
            _migrate(environment, Path(folder) / "migration.log")
        cluster = Path(folder) / "data"
        with (cluster / "postgresql.auto.conf").open("a") as settings:
            settings.write(NO_SYNC)
        yield cluster


def _migrate(environment: Mapping[str, str], log: Path) -> None:
    process = Started(MIGRATE[1:], environment, output=log)
    try:
        ended = process.wait()
    finally:
        process.kill()  # who is told to stop leaves nothing running
    if ended:
        raise RuntimeError(f"no ledger could be made: {log.read_text()}")


def copy_ledger(cluster: Path, postgres: Path) -> None:
    """Put it where a stack that is not there yet will look for its own, owner and all."""
    postgres.mkdir(mode=0o711, parents=True)
    copy = shutil.which("cp") or "cp"
    subprocess.run((copy, "-a", str(cluster), str(postgres / "data")), check=True)  # noqa: S603 - our own
