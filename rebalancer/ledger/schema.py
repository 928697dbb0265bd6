"""Versions of the ledger's schema: which this program knows, and how it reaches its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from alembic import command
from rebalancer.ledger.session import Session

CONFIGURATION = Path(__file__).parents[2] / "alembic.ini"


def revisions() -> list[str]:
    """All versions that can be migrated from, the newest first."""
    scripts = ScriptDirectory.from_config(Config(str(CONFIGURATION)))
    return [script.revision for script in scripts.walk_revisions()]


def present(session: Session) -> str | None:
    """The version that a database is at; ``None`` before the first migration."""
    if not inspect(session.connection()).has_table("alembic_version"):
        return None
    found: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def upgrade(url: str, revision: str = "head") -> None:
    """Bring a database to the newest version, or to an older one that it has not reached yet, in one transaction."""
    configuration = Config(str(CONFIGURATION))
    configuration.cmd_opts = SimpleNamespace(x=[f"url={url}"])  # type: ignore[assignment]  # what `alembic -x` sets
    command.upgrade(configuration, revision)
