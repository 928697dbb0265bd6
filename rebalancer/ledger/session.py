"""Connections to the ledger's PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, QueuePool, Select, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger import storable_text
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.standing import look_before_use

__all__ = ["Ledger", "Session"]


@contextmanager
def in_our_words() -> Iterator[None]:
    """Whoever uses the ledger sees no error of SQLAlchemy."""
    try:
        yield
    except SQLAlchemyError as error:
        raise RecordUnavailable(str(error), _is_away(error)) from error


def _is_away(error: SQLAlchemyError) -> bool:
    if isinstance(error, OperationalError | InterfaceError | InternalError | PoolTimeout):
        return True
    return isinstance(error, DBAPIError) and bool(error.connection_invalidated)


@lru_cache(maxsize=8)
def _engine(url: str) -> Engine:
    """One engine per URL."""
    engine = create_engine(
        url,
        json_serializer=storable_text.to_json,
        pool_size=4,
        max_overflow=12,
        executemany_mode="values_plus_batch",  # many changes of one kind are one message
        pool_recycle=900,  # seconds; whoever has served a run for us keeps what it learned, and a new one costs 20 ms
        pool_use_lifo=True,  # what one thread after the other asks for takes one connection, and the rest is shed
        connect_args={
            "connect_timeout": 5,
            "options": "-c statement_timeout=15s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s",
            "application_name": "rebalancer",
        },
    )
    event.listen(engine, "before_cursor_execute", _clean_texts, retval=True)
    look_before_use(engine)
    _engines.add(engine)
    return engine


_sessions = sessionmaker(expire_on_commit=False)
"""Made once: each is a class of its own."""
_engines: WeakSet[Engine] = WeakSet()
_one_at_a_time = RLock()  # beat signs off within a signal's handler, perhaps amid this
"""Threads that begin together would each make an engine, and leave the connections of all but one open for ever."""


def _leave_sockets() -> None:
    """A forked child shares what its parent has compiled, but never its parent's sockets."""
    for engine in _engines:
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_leave_sockets)
os.register_at_fork(
    before=_one_at_a_time.acquire, after_in_parent=_one_at_a_time.release, after_in_child=_one_at_a_time.release
)


def _clean_texts(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    """Foreign texts end up in errors, remarks and names everywhere; what PostgreSQL cannot hold must not end a run."""
    return statement, storable_text.clean(parameters)


class Ledger:
    """Handle on one ledger, cheap to create and safe to keep across a fork."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def engine(self) -> Engine:
        """The engine, with connections of this process alone."""
        with _one_at_a_time:
            return _engine(self.url)

    @contextmanager
    def begin(self, connection: Connection | None = None) -> Iterator[Session]:
        """One transaction: commits at the end of the block, rolls back if it raises.

        Args:
            connection: over which; one of the pool if none is given.

        Raises:
            RecordUnavailable: PostgreSQL is away, or refuses.
        """
        with in_our_words(), _sessions(bind=connection or self.engine) as session, session.begin():
            yield session

    @contextmanager
    def ask(self, connection: Connection) -> Iterator[Session]:
        """Questions that change and lock nothing: each is a transaction of its own, which saves two messages.

        Raises:
            RecordUnavailable: as of :meth:`begin`.
        """
        with in_our_words(), _sessions(bind=connection) as session, self._by_itself(connection):
            yield session

    @contextmanager
    def singly(self) -> Iterator[Session]:
        """Statements that are each a transaction of its own, which saves two messages, over a connection of the pool.

        Raises:
            RecordUnavailable: as of :meth:`begin`.
        """
        with in_our_words(), self.engine.connect() as connection, self.ask(connection) as session:
            yield session

    @staticmethod
    @contextmanager
    def _by_itself(connection: Connection) -> Iterator[None]:
        """Each statement is a transaction of its own."""
        driver: Any = connection.connection.dbapi_connection
        driver.autocommit = True
        try:
            yield
        finally:
            if not driver.closed:  # PostgreSQL may have ended it meanwhile
                driver.autocommit = False

    def finds(self, something: Select[bool]) -> bool:
        """Answer a question that is asked every second, at half of what a session costs."""
        with in_our_words(), self.engine.connect() as connection, self._by_itself(connection):
            return bool(connection.scalar(something))

    def answers(self, questions: Prepared) -> Sequence[bool]:
        """Answer several questions that are asked every second, of one row."""
        with in_our_words(), self.engine.connect() as connection, self._by_itself(connection):
            return questions.on(connection).one()

    def shed(self) -> None:
        """Close idle connections where there are several: a busy moment took them, and each costs PostgreSQL 2 MB."""
        pool = self.engine.pool
        if isinstance(pool, QueuePool) and pool.checkedin() > 1:
            self.engine.dispose()

    def close(self) -> None:
        """Give all pooled connections back."""
        self.engine.dispose()
