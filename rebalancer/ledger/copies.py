"""The ledger as a whole: what a copy of it must hold, and whether a place is free for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import text

from rebalancer.ledger.roles import VERSIONS
from rebalancer.ledger.session import Ledger, Session


@dataclass(frozen=True, slots=True)
class Frozen:
    """One moment of the ledger, for as long as the transaction that holds it lasts.

    Attributes:
        snapshot: under this name pg_dump sees the same moment.
        rows: by table.
        server: PostgreSQL's major version.
    """

    snapshot: str
    rows: Mapping[str, int]
    server: int


@dataclass(frozen=True, slots=True)
class Place:
    """A database as a restore finds it.

    Attributes:
        rows: by table; the versions' table left out.
        sessions: roles of whoever else is connected.
    """

    rows: Mapping[str, int]
    sessions: tuple[str, ...]
    server: int


@contextmanager
def frozen(ledger: Ledger) -> Iterator[Frozen]:
    """Hold one moment of the ledger while everybody else goes on."""
    with ledger.begin() as session:
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        _without_limits(session)
        name = str(session.scalar(text("SELECT pg_export_snapshot()")))
        yield Frozen(name, _rows(session), _server(session))


def place(ledger: Ledger) -> Place:
    """Look at the database that a copy is to be restored into."""
    with ledger.begin() as session:
        _without_limits(session)
        others = session.scalars(
            text(
                "SELECT usename FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND usename IS NOT NULL ORDER BY usename"
            )
        )
        rows = _rows(session)
        return Place(
            {table: count for table, count in rows.items() if table != VERSIONS}, tuple(others), _server(session)
        )


def _without_limits(session: Session) -> None:
    """A large ledger takes its time."""
    session.execute(text("SET LOCAL statement_timeout = 0"))
    session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def _rows(session: Session) -> dict[str, int]:
    tables = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"))
    counted = ((table, session.scalar(text(f'SELECT count(*) FROM public."{table}"'))) for table in tables.all())  # noqa: S608
    return {table: count or 0 for table, count in counted}


def _server(session: Session) -> int:
    return int(session.scalar(text("SELECT current_setting('server_version_num')")) or 0) // 10_000
