"""One connection for all that a run puts on record and asks."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread

import pytest
from sqlalchemy import text

from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger import audit_log
from rebalancer.ledger.kept_connection import KeptConnection
from rebalancer.ledger.session import Ledger, Session


def backend(session: Session) -> int:
    return session.scalar(text("SELECT pg_backend_pid()")) or 0


def write(session: Session) -> None:
    audit_log.note(session, "ada", "here", action="tried", subject="this")
    session.flush()


def written(ledger: Ledger) -> int:
    with ledger.begin() as session:
        return len(audit_log.recent(session, 10))


def of_a_transaction(connection: KeptConnection) -> int:
    with connection.begin() as session:
        return backend(session)


def of_a_question(connection: KeptConnection) -> int:
    with connection.ask() as session:
        return backend(session)


def test_transactions_and_questions_use_the_same_one(ledger: Ledger) -> None:
    connection = KeptConnection(ledger)
    with connection.kept():
        assert len({of_a_transaction(connection), of_a_question(connection), of_a_transaction(connection)}) == 1


def test_what_follows_a_question_is_a_transaction_again(ledger: Ledger) -> None:
    """A connection that stayed as questions have it would commit each statement by itself."""
    connection = KeptConnection(ledger)
    with connection.kept():
        of_a_question(connection)
        with suppress(ZeroDivisionError), connection.begin() as session:
            write(session)
            raise ZeroDivisionError
        assert written(ledger) == 0
        with connection.begin() as session:
            write(session)
    assert written(ledger) == 1


def test_another_thread_has_another_meanwhile(ledger: Ledger) -> None:
    connection, asked, found = KeptConnection(ledger), Event(), []

    def elsewhere() -> None:
        found.append(of_a_question(connection))
        asked.set()

    with connection.kept(), connection.begin() as session:
        Thread(target=elsewhere).start()
        assert asked.wait(10)
        assert found != [backend(session)]


def test_one_that_died_is_told_once_and_replaced(ledger: Ledger) -> None:
    connection = KeptConnection(ledger)
    with connection.kept():
        dead = of_a_question(connection)
        with ledger.begin() as session:
            session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": dead})
        with pytest.raises(RecordUnavailable) as told:
            of_a_question(connection)
        assert told.value.away
        assert of_a_question(connection) != dead
        assert of_a_transaction(connection) != dead


def test_it_is_given_back(ledger: Ledger) -> None:
    connection = KeptConnection(ledger)
    with connection.kept():
        mine = of_a_question(connection)
        with ledger.begin() as session:
            assert backend(session) != mine
    with ledger.begin() as session:
        assert backend(session) == mine
