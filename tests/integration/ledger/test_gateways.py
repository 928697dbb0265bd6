"""What the workers of one gateway tell each other through the ledger."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from rebalancer.domain.errors import GatewayUnavailable
from rebalancer.ledger.gateway_record import LedgerRecord
from rebalancer.ledger.session import Ledger

ADDRESS, ELSEWHERE = "127.0.0.1:4002", "127.0.0.1:4001"
MINUTE = 60.0


def record(ledger: Ledger, address: str = ADDRESS, patience_s: float = 0.2) -> LedgerRecord:
    return LedgerRecord(ledger, address, patience_s)


@contextmanager
def on_its_way(ledger: Ledger) -> Iterator[None]:
    """Another worker's first order."""
    done, begun = threading.Event(), threading.Event()

    def work() -> None:
        with record(ledger).first_order(0, ()) as alone:
            assert alone
            begun.set()
            done.wait(10)

    worker = threading.Thread(target=work)
    worker.start()
    begun.wait(10)
    try:
        yield
    finally:
        done.set()
        worker.join(10)


def test_one_first_order_at_a_time_and_the_wait_is_bounded(ledger: Ledger) -> None:
    with (
        on_its_way(ledger),
        pytest.raises(GatewayUnavailable, match="travels alone"),
        record(ledger).first_order(0, ()),
    ):
        raise AssertionError("two at once")
    with record(ledger).first_order(0, ()) as alone:
        assert alone


def test_another_gateway_waits_for_nobody(ledger: Ledger) -> None:
    with on_its_way(ledger), record(ledger, ELSEWHERE).first_order(0, ()) as alone:
        assert alone


def test_who_waits_learns_that_the_first_was_acknowledged(ledger: Ledger) -> None:
    with on_its_way(ledger):
        record(ledger).acknowledged()
    with record(ledger, patience_s=5).first_order(MINUTE, ()) as alone:
        assert not alone


def test_an_acknowledgement_from_before_the_connection_proves_nothing(ledger: Ledger) -> None:
    record(ledger).acknowledged()
    with record(ledger).first_order(0, ()) as alone:
        assert alone
    with record(ledger).first_order(MINUTE, ()) as alone:
        assert not alone
    with record(ledger, ELSEWHERE).first_order(MINUTE, ()) as alone:
        assert alone


def test_the_turn_ends_with_the_process_that_holds_it(ledger: Ledger) -> None:
    """Nothing has to be cleaned up, and the survivor of a lost ledger connection is not failed for it."""
    with on_its_way(ledger):
        with ledger.begin() as session:
            held = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            assert session.scalar(text(held))
        with record(ledger, patience_s=5).first_order(0, ()) as alone:
            assert alone


def test_a_ledger_that_is_away_lets_nothing_be_sent() -> None:
    away = LedgerRecord(Ledger("postgresql+psycopg2://nobody@127.0.0.1:9/none"), ADDRESS, 0.2)
    with pytest.raises(GatewayUnavailable), away.first_order(MINUTE, ()):
        raise AssertionError("sent without a word of the others")
    assert not away.away()
    assert not away.warned(["DU1"], 2148, "URGENT")
