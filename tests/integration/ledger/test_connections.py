"""How many connections a process holds: each costs PostgreSQL some megabytes, all day."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from rebalancer.ledger.session import Ledger
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


def test_one_who_asks_after_the_other_uses_one_connection(busy: Ledger) -> None:
    with ExitStack() as sessions:
        for _ in range(KEPT):
            sessions.enter_context(busy.begin()).execute(text("SELECT 1"))
    used = set()
    for _ in range(KEPT):
        with busy.begin() as session:
            used.add(session.scalar(text("SELECT pg_backend_pid()")))
    assert len(used) == 1
