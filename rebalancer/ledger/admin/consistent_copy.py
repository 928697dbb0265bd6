"""The ledger as a whole: one moment of it as rows, and whether a place is free for such a copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, Protocol

from sqlalchemy import text

from rebalancer.ledger.admin.roles import VERSIONS
from rebalancer.ledger.session import Ledger, Session


class Sink(Protocol):
    """What takes a table's rows."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Form:
    """A table and its columns, in the order in which their values stand in a row."""

    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of the ledger, for as long as the transaction that holds it lasts.

    Attributes:
        revision: of the schema; ``None`` when the database holds no ledger.
        forms: of all tables but the versions', each after those that its rows refer to.
        rows: by table.
        sequences: last value, and whether it was given out, by name.
    """

    revision: str | None
    forms: tuple[Form, ...]
    rows: Mapping[str, int]
    sequences: Mapping[str, tuple[int, bool]]
    _cursor: Any

    def write(self, form: Form, sink: Sink) -> None:
        """Write a table's rows, one line each, in PostgreSQL's text form of COPY."""
        self._cursor.copy_expert(f"COPY {qualified(form)} TO STDOUT", sink)


@dataclass(frozen=True, slots=True)
class Place:
    """A database as a restore finds it.

    Attributes:
        rows: by table; the versions' table left out.
        sessions: roles of whoever else is connected.
    """

    rows: Mapping[str, int]
    sessions: tuple[str, ...]


@contextmanager
def frozen(ledger: Ledger) -> Iterator[Moment]:
    """Hold one moment of the ledger while everybody else goes on."""
    with ledger.begin() as session:
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        speak_exactly(session)
        counts = _rows(session)
        revision = None
        if counts.pop(VERSIONS, 0):
            revision = session.scalar(text(f"SELECT version_num FROM public.{VERSIONS}"))  # noqa: S608 - a constant
        yield Moment(
            revision=revision, forms=forms(session), rows=counts, sequences=_sequences(session), _cursor=cursor(session)
        )


def place(ledger: Ledger) -> Place:
    """Look at the database that a copy is to be restored into."""
    with ledger.begin() as session:
        speak_exactly(session)
        others = session.scalars(
            text(
                "SELECT usename FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND usename IS NOT NULL ORDER BY usename"
            )
        )
        rows = _rows(session)
        return Place({table: count for table, count in rows.items() if table != VERSIONS}, tuple(others))


def forms(session: Session) -> tuple[Form, ...]:
    """All tables of the ledger but the versions', each after those that its rows refer to."""
    columns = session.execute(
        text(
            "SELECT relname, array_agg(attname::text ORDER BY attnum) FROM pg_attribute "
            "JOIN pg_class ON oid = attrelid WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
            "AND attnum > 0 AND NOT attisdropped AND attgenerated = '' GROUP BY relname"
        )
    )
    found = {row[0]: Form(row[0], tuple(row[1])) for row in columns if row[0] != VERSIONS}
    references = session.execute(
        text(
            "SELECT child.relname, parent.relname FROM pg_constraint JOIN pg_class child ON child.oid = conrelid "
            "JOIN pg_class parent ON parent.oid = confrelid WHERE contype = 'f'"
        )
    )
    needs: dict[str, set[str]] = {name: set() for name in sorted(found)}
    for child, parent in references:
        if child != parent:
            needs[child].add(parent)
    return tuple(found[name] for name in TopologicalSorter(needs).static_order())


def speak_exactly(session: Session) -> None:
    """Values in one form, whatever the server's settings; and a large ledger takes its time."""
    for setting in (
        "statement_timeout = 0",
        "idle_in_transaction_session_timeout = 0",
        "client_encoding = 'UTF8'",
        "timezone = 'UTC'",
        "datestyle = 'ISO, YMD'",
        "intervalstyle = 'postgres'",
    ):
        session.execute(text(f"SET LOCAL {setting}"))


def cursor(session: Session) -> Any:
    """The driver's own cursor: SQLAlchemy has no COPY."""
    return session.connection().connection.cursor()


def qualified(form: Form) -> str:
    """``public."table" ("column", ...)``, quoted."""
    return f"public.{quoted(form.table)} ({', '.join(map(quoted, form.columns))})"


def quoted(name: str) -> str:
    """A name as PostgreSQL takes it for nothing else."""
    return '"' + name.replace('"', '""') + '"'


def _sequences(session: Session) -> dict[str, tuple[int, bool]]:
    names = session.scalars(text("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1")).all()
    values = {name: session.execute(text(f"SELECT last_value, is_called FROM public.{quoted(name)}")) for name in names}  # noqa: S608
    return {name: (row.last_value, row.is_called) for name, result in values.items() if (row := result.one())}


def _rows(session: Session) -> dict[str, int]:
    tables = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"))
    counted = ((table, session.scalar(text(f"SELECT count(*) FROM public.{quoted(table)}"))) for table in tables.all())  # noqa: S608
    return {table: count or 0 for table, count in counted}
