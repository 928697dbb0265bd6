"""The cluster of PostgreSQL that the tests copy: with the newest schema, and nothing in it."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import Any

from alembic.config import Config
from sqlalchemy import create_engine, text

from alembic import command
from rebalancer.runner.servers import running_postgres

ROOT = Path(__file__).parents[2]


def begin(config: Any) -> None:
    """Make it now, while the tests are loaded, for all processes that will share them.

    Args:
        config: pytest's, of the process that they answer to.
    """
    from sandbox.forked.programs import Started  # noqa: PLC0415 - loads what all programs of ours need

    shared = config._tmp_path_factory.getbasetemp()
    making = Started(("-m", __name__, str(shared)), os.environ, folder=ROOT)
    config.add_cleanup(making.wait)


def made_once(shared: Path) -> Path:
    """Its folder. To make it takes each process that shares the tests ten times as long as to copy it."""
    made = shared / "cluster"
    with (shared / "cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with running_postgres(shared / "making") as server:
                _spare_the_disk(server.url)
                migrate(server.url)
            (shared / "making/data").rename(made)
    return made


def _spare_the_disk(url: str) -> None:
    """Nothing is flushed, since tests end processes, which loses no write, and never the machine; nor tidied up, nor
    counted for that, nor written for a standby.
    """
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("fsync", "full_page_writes", "autovacuum", "track_counts", "update_process_title"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("ALTER SYSTEM SET wal_level = minimal"))  # from its next start on
        connection.execute(text("ALTER SYSTEM SET max_wal_senders = 0"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


def migrate(url: str, target: str = "head") -> None:
    """Upgrade (or, for an older target, downgrade) the schema of a database."""
    config = Config(str(ROOT / "alembic.ini"))
    config.cmd_opts = type("Options", (), {"x": [f"url={url}"]})()  # what `alembic -x url=...` sets
    (command.upgrade if target == "head" else command.downgrade)(config, target)


if __name__ == "__main__":
    made_once(Path(sys.argv[1]))
