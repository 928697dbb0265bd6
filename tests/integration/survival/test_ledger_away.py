"""PostgreSQL goes away in the midst of a run: the same attempt finishes, if the ledger is back while the lease lasts.
Else the run ends, and what it has sent is cancelled at the broker: nobody would watch it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest
from sqlalchemy import Connection, text

from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger.session import Ledger, Session
from rebalancer.ledger.states import EventState
from rebalancer.runner.servers import RunningServer
from tests.integration.ibkr.serving import until
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import Bench
from tests.integration.survival.test_crashes import IN_PIECES, ONE_SELL_ONE_BUY


class CutLedger(Ledger):
    """PostgreSQL ends the connection of this thread's ``at``-th transaction before its commit: the step is lost. Or
    after its ``at``-th question, if that is one, and the next step finds it dead.
    """

    def __init__(self, url: str, at: int) -> None:
        super().__init__(url)
        self.left = at
        self._thread = threading.get_ident()

    @contextmanager
    def begin(self, connection: Connection | None = None) -> Iterator[Session]:
        with super().begin(connection) as session:
            yield session
            self._step(session)

    @contextmanager
    def ask(self, connection: Connection) -> Iterator[Session]:
        with super().ask(connection) as session:
            yield session
            self._step(session)

    def _step(self, session: Session) -> None:
        self.left -= threading.get_ident() == self._thread
        if self.left == 0:
            self.left = -1
            mine = session.scalar(text("SELECT pg_backend_pid()"))
            with super().begin() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": mine})


@pytest.mark.timeout(400)
def test_a_connection_that_ends_at_any_step_of_the_ledger_ends_no_run(benches: MakeBench) -> None:
    wanted: dict[str, Decimal] = {}
    for step in count(1):
        account = f"DU1{step:06}"
        with benches(accounts={account: ONE_SELL_ONE_BUY}, fills=IN_PIECES) as here:
            here.account = account
            wanted = here.wanted = wanted or here.planned()
            event_id = here.request()
            whole, here.ledger = here.ledger, CutLedger(here.ledger.url, 1 + step)  # the first one is the claim
            outcome = here.attempt(event_id)
            left, here.ledger = here.ledger.left, whole
            assert outcome.state is EventState.SUCCEEDED, f"cut at step {step}: {outcome}"
            assert here.positions == here.wanted
            here.prove_books()
            if left > 0:
                break
    assert step > 25


def test_a_server_that_is_away_for_a_moment_amid_orders_ends_no_run(
    benches: MakeBench, postgres: RunningServer
) -> None:
    open_meanwhile = []

    def restart() -> None:
        postgres.stop()
        open_meanwhile.append(open_orders(here))
        postgres.start()

    with benches(fills={"mode": "partial", "slices": 3, "delay_ms": 300, "interval_ms": 4000}) as here:
        here.aim()
        here.settings["order_timeout_s"] = 20
        with amid_orders(here, restart):
            outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert open_meanwhile > [0]
        assert here.positions == here.wanted
        here.prove_books()


def test_what_nobody_will_watch_is_cancelled_while_the_ledger_is_still_away(
    here: Bench, postgres: RunningServer
) -> None:
    here.fault(fills={"*": {"mode": "delayed", "delay_ms": 30_000}})
    here.settings["order_timeout_s"] = 30
    here.lease = timedelta(seconds=3)
    event_id = here.request()
    try:
        with amid_orders(here, postgres.stop), pytest.raises(RecordUnavailable):
            here.attempt(event_id)  # cannot say either that it failed
        assert open_orders(here) == 0
    finally:
        postgres.start()
    here.crash()
    here.served.do(lambda _gateway: here.heal())
    here.finish(event_id)
    assert here.positions == here.wanted
    here.prove_books()


@contextmanager
def amid_orders(here: Bench, action: Callable[[], object]) -> Iterator[None]:
    """Do something once orders work at the broker."""

    def watch() -> None:
        until(lambda: open_orders(here) > 0, 10)
        action()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        watcher.join(30)


def open_orders(here: Bench) -> int:
    return here.served.do(lambda gateway: len(gateway.exchange.book.open_orders(here.account)))
