"""Runs migrations against the ledger of the settings, or against ``-x url=...``."""

from __future__ import annotations

from sqlalchemy import Connection, NullPool, create_engine, text

from alembic import context
from rebalancer.config.settings import load_settings
from rebalancer.ledger.models import Base

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"


def url() -> str:
    """Database to migrate."""
    return str(context.get_x_argument(as_dictionary=True).get("url") or load_settings().stores.database_url)


def run() -> None:
    """Migrate in one transaction, never waiting long for a lock that a running program holds."""
    if (given := context.config.attributes.get("connection")) is not None:  # whose transaction goes on
        migrate(given)
        return
    with create_engine(url(), poolclass=NullPool).connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        migrate(connection)


def migrate(connection: Connection) -> None:
    """Run the migrations over a connection."""
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()


run()
