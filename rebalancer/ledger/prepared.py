"""Statements that each connection has PostgreSQL read and plan once: most of what a run asks is small, and takes longer
to read and plan than to answer. PostgreSQL itself plans one anew as long as its parameters matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakSet

from sqlalchemy import (
    Cast,
    ClauseElement,
    ColumnElement,
    Connection,
    CursorResult,
    Select,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.orm import QueryableAttribute, Session
from sqlalchemy.types import NullType, TypeEngine

_DIALECT = PGDialect_psycopg2()  # type: ignore[no-untyped-call]
_NOTHING: Mapping[str, Any] = {}
_PLACE, _LISTED = "place", "every_{}"
_made: WeakSet[Prepared] = WeakSet()


@dataclass(frozen=True, slots=True)
class _Texts:
    """A statement as it is, and its constants; what prepares it with them, and what executes it."""

    plain: str
    constants: Mapping[str, Any]
    prepare: str
    execute: str


class Prepared:
    """A statement with parameters by name; its constants are part of it, so that partial indexes serve it. Values come
    as the driver has them, and go as it takes them: no JSON.

    Args:
        name: an identifier that no other statement has.
    """

    def __init__(self, name: str, statement: ClauseElement) -> None:
        self.name = name
        self._statement = statement
        _made.add(self)

    def rows(self, session: Session, given: Mapping[str, Any] = _NOTHING) -> Sequence[Any]:
        """Execute it; all that it returns."""
        return self.run(session, given).all()

    def scalar(self, session: Session, given: Mapping[str, Any] = _NOTHING) -> Any:
        """Execute it; the first column of its first row, ``None`` without one."""
        return self.run(session, given).scalar()

    def run(self, session: Session, given: Mapping[str, Any] = _NOTHING) -> CursorResult[Any]:
        """Execute it within the session's transaction, after what the session has still to write."""
        session.flush()
        return self.on(session.connection(), given)

    def on(self, connection: Connection, given: Mapping[str, Any] = _NOTHING) -> CursorResult[Any]:
        """Execute it over a connection; the first time as it is, since many connections are used once."""
        texts, known = self._texts, connection.info
        if self.name not in known:
            known[self.name] = False
            return connection.exec_driver_sql(texts.plain, {**texts.constants, **given})
        if not known[self.name]:
            connection.exec_driver_sql(texts.prepare, {**texts.constants})
            known[self.name] = True
        return connection.exec_driver_sql(texts.execute, {**given})

    @cached_property
    def _texts(self) -> _Texts:
        compiled: Any = self._statement.compile(dialect=_DIALECT)
        given = [name for name, bound in compiled.binds.items() if bound.required]
        whole = compiled.construct_expanded_state(dict.fromkeys(given))
        numbered = whole.statement
        for number, name in enumerate(given, 1):
            numbered = numbered.replace(f"%({name})s", f"${number}")
        types = ", ".join(_type_of(compiled.binds[name].type) for name in given)
        values = ", ".join(f"%({name})s" for name in given)
        return _Texts(
            whole.statement,
            {name: value for name, value in whole.parameters.items() if name not in given},
            f"PREPARE {self.name}{f' ({types})' if given else ''} AS {numbered}",
            f"EXECUTE {self.name}{f'({values})' if given else ''}",
        )


class Rows:
    """Rows that a statement is given, as one list for each of their columns.

    Args:
        like: columns that name and type them.
    """

    def __init__(self, *like: ColumnElement[Any] | QueryableAttribute[Any]) -> None:
        self.names = [str(one.key) for one in like]
        lists = [_list_of(name, one.type) for name, one in zip(self.names, like, strict=True)]
        columns = [column(name, one.type) for name, one in zip(self.names, like, strict=True)]
        given = func.unnest(*lists).table_valued(*columns, with_ordinality=_PLACE)
        self.c = given.render_derived(name="given").c

    def in_order(self, **instead: ColumnElement[Any]) -> Select[Any]:
        """All of them, as they were given, but for what stands instead of some columns."""
        return select(*(instead.get(name, self.c[name]) for name in self.names)).order_by(self.c[_PLACE])

    def lists(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """The statement's parameters."""
        return {_LISTED.format(name): [row[name] for row in rows] for name in self.names}


def _list_of(name: str, kind: TypeEngine[Any]) -> Cast[Any]:
    """Cast, since a list of NULL alone has no type of its own."""
    return cast(bindparam(_LISTED.format(name), type_=ARRAY(kind)), ARRAY(kind))


def _type_of(kind: Any) -> str:
    """In SQL; PostgreSQL finds out what it is not told."""
    return "unknown" if isinstance(kind, NullType) else str(kind.compile(dialect=_DIALECT)).partition("(")[0]


def build() -> None:
    """Build the texts of all statements that there are, for whoever is forked afterwards."""
    for one in tuple(_made):
        one._texts  # noqa: B018 - kept from now on
