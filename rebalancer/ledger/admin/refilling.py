"""Bringing rows back into a ledger whose tables our own migrations have just made, all in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg2
from sqlalchemy import text

from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger.admin import consistent_copy, schema
from rebalancer.ledger.admin.consistent_copy import Form, quoted
from rebalancer.ledger.session import Ledger, Session

AFTERMATH = Path(__file__).with_name("aftermath.sql")


class RowSource(Protocol):
    """What gives a table's rows, one line each."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Refill:
    """Tables of one schema, waiting for their rows.

    Attributes:
        forms: of all tables, by name.
    """

    forms: Mapping[str, Form]
    _session: Session
    _cursor: Any

    def read(self, form: Form, source: RowSource) -> int:
        """Take a table's rows in; how many they were.

        Raises:
            RecordUnavailable: PostgreSQL refused them.
        """
        try:
            self._cursor.copy_expert(f"COPY {consistent_copy.qualified(form)} FROM STDIN", source)
        except psycopg2.Error as refused:
            raise RecordUnavailable(str(refused).strip(), away=False) from refused
        return int(self._cursor.rowcount)

    def go_on_from(self, sequence: str, last: int, given_out: bool) -> None:
        """Numbers that were given out before are not given out again; a sequence that is not there is an error."""
        self._session.execute(
            text("SELECT setval(CAST(:name AS regclass), :last, :given_out)"),
            {"name": f"public.{quoted(sequence)}", "last": last, "given_out": given_out},
        )


@contextmanager
def refilling(ledger: Ledger, revision: str, why: str, forever: str) -> Iterator[Refill]:
    """Give up what the database holds, and take rows of a schema's version in; then bring them to today's, halted.

    Nothing has happened unless the block ends without an error. Within it the session's role can run no program and
    read no file of the server, even where the one that connected could.

    Args:
        revision: version of the schema that the rows are of.
        why: reason of the halt.
        forever: due time of what waits for a person.

    Raises:
        RecordUnavailable: PostgreSQL refused something.
    """
    with ledger.begin() as session:
        consistent_copy.speak_exactly(session)
        session.execute(text("SET LOCAL client_min_messages = warning"))
        tables = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        for table in tables:
            session.execute(text(f"DROP TABLE public.{quoted(table)} CASCADE"))
        schema.upgrade_within(session, revision)
        forms = {form.table: form for form in consistent_copy.forms(session)}
        with _powerless(session):
            yield Refill(forms, session, consistent_copy.cursor(session))
        schema.upgrade_within(session, "head")
        session.execute(text(AFTERMATH.read_text(encoding="utf-8")), {"why": why, "forever": forever})


@contextmanager
def _powerless(session: Session) -> Iterator[None]:
    """A role that may add rows and do nothing else, for the time of the block, where our own may run programs."""
    powerful = session.scalar(text("SELECT pg_has_role(current_user, 'pg_execute_server_program', 'USAGE')"))
    if not powerful:
        yield
        return
    role = f"rebalancer_restore_{secrets.token_hex(4)}"
    for statement in (
        f"CREATE ROLE {role} NOLOGIN",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        f"SET LOCAL ROLE {role}",
    ):
        session.execute(text(statement))
    yield
    for statement in ("RESET ROLE", f"DROP OWNED BY {role}", f"DROP ROLE {role}"):
        session.execute(text(statement))
