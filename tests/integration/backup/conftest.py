"""Another PostgreSQL, as the one to which a backup is taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from rebalancer.runner.servers import RunningServer, running_postgres


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Another PostgreSQL, on which tests make databases of their own."""
    with running_postgres(tmp_path_factory.mktemp("another")) as running:
        yield running


@pytest.fixture
def place(server: RunningServer, request: pytest.FixtureRequest) -> str:
    """URL of a database without any table, whose role is a superuser, as that of `rebalancer up` is."""
    name = f"place_{abs(hash(request.node.name))}"
    with create_engine(server.url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return server.url.replace("@/postgres?", f"@/{name}?")
