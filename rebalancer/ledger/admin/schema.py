"""Versions of the ledger's schema: which this program knows, and how it reaches its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from alembic import command
from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger.session import Session

NAME = "alembic.ini"
BESIDE = Path(__file__).parents[3] / NAME
"""In a checkout; an installed program has it in the folder that it is started in, as the image does."""


def revisions() -> list[str]:
    """All versions that can be migrated from, the newest first."""
    scripts = ScriptDirectory.from_config(_configuration())
    return [script.revision for script in scripts.walk_revisions()]


def present(session: Session) -> str | None:
    """The version that a database is at; ``None`` before the first migration."""
    if not inspect(session.connection()).has_table("alembic_version"):
        return None
    found: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def upgrade(url: str, revision: str = "head") -> None:
    """Bring a database to the newest version, or to an older one that it has not reached yet, in one transaction."""
    configuration = _configuration()
    configuration.cmd_opts = SimpleNamespace(x=[f"url={url}"])  # type: ignore[assignment]  # what `alembic -x` sets
    command.upgrade(configuration, revision)


def upgrade_within(session: Session, revision: str) -> None:
    """The same as part of a transaction that is under way."""
    configuration = _configuration()
    configuration.attributes["connection"] = session.connection()
    command.upgrade(configuration, revision)


def _configuration() -> Config:
    path = next((path for path in (BESIDE, Path(NAME)) if path.is_file()), None)
    if path is None:
        raise ConfigurationError([f"{NAME} and the migrations are missing: start this in the folder that holds them"])
    return Config(str(path))
