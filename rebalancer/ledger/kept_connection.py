"""A connection that one run keeps: no ping before each use, no transaction around a question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from sqlalchemy import Connection

from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger.session import Ledger, Session, in_our_words


class KeptConnection:
    """Transactions over one connection while :meth:`kept`, over those of the pool before and after. One that has died
    is told as any other failure, and replaced: this is for whoever tries again. A second thread has one of the pool.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._connection: Connection | None = None
        self._keeps = False
        self._one_at_a_time = Lock()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep it for as long as the block runs."""
        self._keeps = True
        try:
            yield
        finally:
            self._keeps = False
            with self._one_at_a_time:
                self._give_back()

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One transaction, see :meth:`Ledger.begin`."""
        with self._mine() as connection, self._ledger.begin(connection) as session:
            yield session

    @contextmanager
    def ask(self) -> Iterator[Session]:
        """Questions that change and lock nothing, see :meth:`Ledger.ask`."""
        with self._mine() as connection:
            if connection is None:
                with self._ledger.begin() as session:
                    yield session
            else:
                with self._ledger.ask(connection) as session:
                    yield session

    @contextmanager
    def _mine(self) -> Iterator[Connection | None]:
        """The connection, if it is kept and no other thread has it."""
        if not self._keeps or not self._one_at_a_time.acquire(blocking=False):
            yield None
            return
        try:
            if self._connection is None:
                with in_our_words():
                    self._connection = self._ledger.engine.connect()
            yield self._connection
        except RecordUnavailable:
            self._give_back()
            raise
        finally:
            self._one_at_a_time.release()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
