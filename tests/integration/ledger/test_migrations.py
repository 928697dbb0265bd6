"""The migrations lead to exactly the models, and back, with rows in place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from rebalancer.commands import Command
from rebalancer.ledger import intake
from rebalancer.ledger.intake import Addressee, NewSignal
from rebalancer.ledger.models import Base
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import running_postgres
from tests.conftest import migrate


@pytest.fixture
def fresh() -> Iterator[str]:
    """URL of a PostgreSQL without any table."""
    with tempfile.TemporaryDirectory() as folder, running_postgres(Path(folder) / "postgres") as server:
        yield server.url


def tables(url: str) -> set[str]:
    with create_engine(url).connect() as connection:
        found = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        return set(found) - {"alembic_version"}


def test_migrations_equal_the_models_and_lead_back(fresh: str) -> None:
    migrate(fresh)
    with create_engine(fresh).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    ledger = Ledger(fresh)
    with ledger.begin() as session:
        signal = NewSignal("blend", "m1", Command.REBALANCE, {"exec": "rebalance"})
        intake.record(session, signal, [Addressee("DU1", "blend")])
    ledger.close()
    migrate(fresh, "0001")
    migrate(fresh)
    with create_engine(fresh).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM events")) == 1
    migrate(fresh, "base")
    assert tables(fresh) == set()
