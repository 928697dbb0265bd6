"""The application's role in PostgreSQL: rows yes, schema no.

Migrations run as the owner of the tables. Listener, worker, beat, API and command line work as a role that may read and
write rows, but change no table, empty none at once, and rewrite nothing of the records in :data:`FINAL`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text

from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger.models import AuditRow, Base, OrderReport
from rebalancer.ledger.session import Session

EVERYTHING = ("SELECT", "INSERT", "UPDATE", "DELETE")
VERSIONS = "alembic_version"
FINAL = {
    AuditRow.__tablename__: ("SELECT", "INSERT"),
    OrderReport.__tablename__: ("SELECT", "INSERT", "DELETE"),  # whole events leave after RETENTION_DAYS
    VERSIONS: ("SELECT",),
}
"""Tables of which a row that is written stays as it is, and what may be done with them."""


def privileges() -> dict[str, tuple[str, ...]]:
    """What the application may do with each table."""
    return {table: FINAL.get(table, EVERYTHING) for table in (*Base.metadata.tables, VERSIONS)}


def grant(session: Session, role: str, password: str | None = None) -> bool:
    """Make the role if it is missing and give it exactly what the application needs, of today's tables.

    Args:
        password: its login; ``None`` leaves it as it is, and makes a role that PostgreSQL lets in by other means.

    Returns:
        True when the role was made.

    Raises:
        ConfigurationError: the role is the one that asks, owns the tables, or is a superuser; or there are no tables.
        RecordUnavailable: the session's own role may not grant.
    """
    _require_other(session, role)
    made = not session.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname = :role"), {"role": role})
    if made:
        _run(session, "CREATE ROLE %I LOGIN", role)
    if password is not None:
        _run(session, "ALTER ROLE %I PASSWORD %L", role, password)
    for statement, names in _statements(session, role):
        _run(session, statement, *names)
    return made


def _require_other(session: Session, role: str) -> None:
    missing = session.scalar(text("SELECT to_regclass('public.events') IS NULL"))
    if missing:
        raise ConfigurationError(["the ledger has no tables yet: run the migrations first (alembic upgrade head)"])
    privileged = session.scalar(
        text(
            "SELECT rolsuper OR rolname = current_user OR rolname = (SELECT tableowner FROM pg_tables "
            "WHERE schemaname = 'public' AND tablename = 'events') FROM pg_roles WHERE rolname = :role"
        ),
        {"role": role},
    )
    if privileged:
        raise ConfigurationError(
            [f"{role} owns the ledger's tables or is a superuser, so nothing can be kept from it: name another role"]
        )


def _statements(session: Session, role: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """First everything is taken away, so that what an older version granted does not stay."""
    database = str(session.scalar(text("SELECT current_database()")))
    yield "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I", (role,)
    yield "REVOKE ALL ON SCHEMA public FROM %I", (role,)
    yield "REVOKE CREATE ON SCHEMA public FROM PUBLIC", ()
    yield "REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC", (database,)
    yield "GRANT CONNECT ON DATABASE %I TO %I", (database, role)
    yield "GRANT USAGE ON SCHEMA public TO %I", (role,)
    yield "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO %I", (role,)  # for backups
    for table, allowed in privileges().items():
        yield f"GRANT {', '.join(allowed)} ON TABLE public.%I TO %I", (table, role)


def _run(session: Session, statement: str, *names: str) -> None:
    """Fill the statement in with PostgreSQL's own quoting; it cannot take names as parameters."""
    arguments = "".join(f", CAST(:name{number} AS text)" for number in range(len(names)))
    quoted = session.scalar(
        text(f"SELECT format(:statement{arguments})"),
        {"statement": statement} | {f"name{number}": name for number, name in enumerate(names)},
    )
    session.connection().exec_driver_sql(str(quoted).replace("%", "%%"))
