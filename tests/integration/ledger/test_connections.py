"""How many connections a process holds: each costs PostgreSQL some megabytes, all day."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from rebalancer.ledger import standing
from rebalancer.ledger.session import Ledger, Session
from rebalancer.runner.servers import RunningServer
from tests.world import until

THREADS = 9
KEPT = 4
"""By the pool; what it had to open besides is closed after its use."""


def held(ledger: Ledger) -> frozenset[int]:
    """Connections of everybody to the server; those of an earlier test may be about to end."""
    with ledger.begin() as session:
        pids = session.scalars(text("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"))
        return frozenset(pids)


def backend(session: Session) -> int:
    return session.scalar(text("SELECT pg_backend_pid()")) or 0


def last_statement(ledger: Ledger, pid: int) -> tuple[str, str]:
    """What was sent over a connection last, and whether it waits for more."""
    with ledger.begin() as session:
        row = session.execute(text("SELECT state, query FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid}).one()
    return row.state, row.query


@pytest.fixture
def busy(postgres: RunningServer) -> Iterator[Ledger]:
    """A ledger of whose connections none is open."""
    url = f"{postgres.url}&keepalives=1"  # by which it is another one
    busy = Ledger(url)
    yield busy
    busy.close()


def test_threads_that_begin_together_share_one_pool(ledger: Ledger, busy: Ledger) -> None:
    """Each once made a pool of its own, and the connection in it was never used again and never closed."""
    others, together = held(ledger), threading.Barrier(THREADS)

    def ask() -> None:
        together.wait()
        with busy.begin() as session:
            together.wait()
            session.execute(text("SELECT 1"))

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(held(ledger) - others) <= KEPT)


def test_what_a_busy_moment_took_is_given_back_and_what_is_in_use_is_not(ledger: Ledger, busy: Ledger) -> None:
    others = held(ledger)
    with ExitStack() as sessions:
        for _ in range(KEPT):
            sessions.enter_context(busy.begin()).execute(text("SELECT 1"))
    assert len(held(ledger) - others) == KEPT
    with busy.begin() as session:
        session.execute(text("SELECT 1"))
        busy.shed()
        until(lambda: len(held(ledger) - others) == 1)
        session.execute(text("SELECT 1"))


def test_one_used_a_moment_ago_is_not_asked_whether_it_stands(ledger: Ledger, busy: Ledger) -> None:
    """The ping was half of the messages of a sign of life."""
    with busy.begin() as session:
        pid = backend(session)
    with busy.begin() as session:
        session.connection()
        assert last_statement(ledger, pid) == ("idle", "COMMIT"), "nothing has been sent over it yet"


def test_one_that_rested_is_asked(ledger: Ledger, busy: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its machine may be gone without a word."""
    monkeypatch.setattr(standing, "TRUSTED_S", 0.0)
    with busy.begin() as session:
        pid = backend(session)
    with busy.begin() as session:
        session.connection()
        assert last_statement(ledger, pid) == ("idle", "SELECT 1")


def test_one_that_postgresql_ended_is_opened_anew_and_nobody_notices(ledger: Ledger, busy: Ledger) -> None:
    with busy.begin() as session:
        pid = backend(session)
    with ledger.begin() as session:
        session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with busy.begin() as session:
        assert backend(session) != pid


def test_one_who_asks_after_the_other_uses_one_connection(busy: Ledger) -> None:
    with ExitStack() as sessions:
        for _ in range(KEPT):
            sessions.enter_context(busy.begin()).execute(text("SELECT 1"))
    used = set()
    for _ in range(KEPT):
        with busy.begin() as session:
            used.add(session.scalar(text("SELECT pg_backend_pid()")))
    assert len(used) == 1
