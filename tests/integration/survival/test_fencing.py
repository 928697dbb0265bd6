"""A run whose event another attempt owns sends nothing, and nothing that it says goes on record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from rebalancer.domain.errors import LeaseLost
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import Fill, OrderRequest, OrderTrace, OrderUpdate, StatusUpdate
from rebalancer.domain.portfolio import AccountSnapshot, Side
from rebalancer.domain.ports import Broker
from rebalancer.ledger import events, ownership
from rebalancer.ledger.lease import MARGIN
from rebalancer.ledger.models import Attempt, Event, FillRow, HaltRow, Order, OrderReport, SnapshotRow
from rebalancer.ledger.run import Run
from rebalancer.usecases import rebalance
from rebalancer.usecases.close_out import close_out
from rebalancer.usecases.reconciliation import look_after_orders
from tests.integration.ibkr.serving import connected, order, serving, until
from tests.integration.state_machine.site import an_order
from tests.integration.survival.harness import Bench

LEASE = timedelta(seconds=90)
NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)


def claimed(here: Bench, event_id: Any, lease: timedelta = LEASE) -> Run:
    claim = ownership.claim(here.ledger, event_id, "bench", lease)
    assert claim is not None
    return Run(here.ledger, claim, lease)


def taken_over(here: Bench, event_id: Any) -> Run:
    """The run is taken for dead, and its successor owns the event."""
    with here.ledger.begin() as session:
        events.reap(session, timedelta(), timedelta(), ["bench"])
    return claimed(here, event_id)


@pytest.fixture
def pair(here: Bench) -> tuple[Run, Run, str]:
    """A stale run, the owner, and the ref of an order that the owner is about to send."""
    event_id = here.request()
    stale = claimed(here, event_id)
    owner = taken_over(here, event_id)
    proposed, request = an_order(owner.claim, 1)
    owner.intend([(proposed, request)])
    return stale, owner, request.order_ref


def everything(here: Bench) -> list[Any]:
    """All that a run may write."""
    with here.ledger.begin() as session:
        return [
            sorted(repr(tuple(row)) for row in session.execute(select(*model.__table__.columns)))
            for model in (Order, OrderReport, FillRow, Attempt, SnapshotRow, HaltRow, Event)
        ]


def status(ref: str) -> StatusUpdate:
    return StatusUpdate(ref, NOW, OrderStatus.CANCELLED, Decimal(0), Decimal(1), 1, 7, 99, None, None, True)


def fill(ref: str) -> Fill:
    return Fill(ref, "0001.01", NOW, "DU1000001", "SPY", Side.BUY, Decimal(1), Decimal(100), Decimal(1), 99)


def trace(ref: str) -> OrderTrace:
    return OrderTrace(ref, OrderStatus.CANCELLED, False, 99, (), (), Decimal(0))


SNAPSHOT = AccountSnapshot("DU1000001", NOW, Decimal(1), Decimal(1), None, None, ())
WORDS: dict[str, Callable[[Run, str], object]] = {
    "settled": lambda run, ref: run.finalize([ref]),
    "heard a status": lambda run, ref: run.heard([status(ref)]),
    "heard a fill": lambda run, ref: run.heard([fill(ref)]),
    "traced": lambda run, ref: run.traced([ref], {ref: trace(ref)}, NOW),
    "missing": lambda run, ref: run.traced([ref], {}, NOW),
    "never sent": lambda run, ref: run.never_sent([ref], "it says"),
    "unacknowledged": lambda run, ref: run.hold_unacknowledged([ref]),
    "others": lambda run, ref: run.hold_for_others([ref]),
    "released": lambda run, _ref: run.release_unacknowledged("gateway:4002"),
    "decided": lambda run, _ref: run.decided({}, {}),
    "planned again": lambda run, _ref: run.planned_again("why", {}, {}),
    "observed": lambda run, _ref: run.observed("after", SNAPSHOT, []),
    "intended": lambda run, _ref: run.intend([an_order(run.claim, 7)]),
}


@pytest.mark.parametrize("word", WORDS)
def test_nothing_that_a_stale_run_says_goes_on_record(here: Bench, pair: tuple[Run, Run, str], word: str) -> None:
    stale, owner, ref = pair
    before = everything(here)
    with pytest.raises(LeaseLost):
        WORDS[word](stale, ref)
    assert everything(here) == before
    assert [one.order_ref for one in owner.unresolved()] == [ref]


@pytest.mark.parametrize("leave", [close_out, look_after_orders])
def test_a_stale_run_that_leaves_clean_settles_none_of_the_owners_orders(
    here: Bench, pair: tuple[Run, Run, str], leave: Callable[[Any], None]
) -> None:
    """Case: what the owner was about to send was settled as never sent, and its fills were looked up by nobody."""
    stale, owner, ref = pair
    with pytest.raises(LeaseLost):
        leave(here.context(stale))
    assert [one.order_ref for one in owner.unresolved()] == [ref]


def test_nobody_takes_an_event_between_the_question_and_the_word(here: Bench, pair: tuple[Run, Run, str]) -> None:
    """While what the owner says is being written, the dispatcher leaves the event alone."""
    _, owner, ref = pair
    with here.ledger.begin() as session:
        ownership.require_owned(session, owner.claim)
        with here.ledger.begin() as other:
            assert events.reap(other, timedelta(), timedelta(), ["bench"]) == []
    owner.finalize([ref])


# -- the last moment before an order leaves ------------------------------------------------------------------------


def test_a_process_that_was_stopped_after_its_checkpoint_sends_nothing(here: Bench) -> None:
    """Case: it sent its order although attempt 2 owned the event."""
    lease = timedelta(seconds=0.6)
    event_id = here.request()
    run = claimed(here, event_id, lease)

    def stopped_afterwards() -> None:
        run.checkpoint()
        until(lambda: run.lease.left_s <= 0)
        taken_over(here, event_id)

    with serving() as served, connected(served) as broker:
        with pytest.raises(LeaseLost):
            list(broker.execute([order("a")], 5, stopped_afterwards, run.lease.require))
        broker.snapshot("DU1")
        assert served.do(lambda gateway: gateway.orders) == []


class Stopped:
    """A process that is stopped after each checkpoint, until its lease has passed."""

    def __init__(self, broker: Broker, run: Run) -> None:
        self._broker = broker
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def execute(
        self, orders: Sequence[OrderRequest], timeout_s: float, before_each: Callable[[], None], *rest: Any
    ) -> Iterator[Sequence[OrderUpdate]]:
        def stopped_afterwards() -> None:
            before_each()
            until(lambda: self._run.lease.left_s <= 0, 10)

        return self._broker.execute(orders, timeout_s, stopped_afterwards, *rest)


def test_a_run_passes_its_own_deadline_on_to_whoever_sends(here: Bench) -> None:
    event_id = here.request()
    run = claimed(here, event_id, timedelta(seconds=5))
    with pytest.raises(LeaseLost):
        rebalance(here.context(run, Stopped(here.broker, run)))  # type: ignore[arg-type]
    assert here.refs == []
    here.crash()
    here.finish(event_id)
    assert here.positions == here.wanted
    here.prove_books()


def test_our_deadline_passes_well_before_the_ledgers(here: Bench) -> None:
    run = claimed(here, here.request())
    with here.ledger.begin() as session:
        lease_until = session.get_one(Event, run.claim.event_id).lease_until
    assert lease_until is not None
    ledgers_s = (lease_until - datetime.now(UTC)).total_seconds()
    assert ledgers_s - run.lease.left_s > LEASE.total_seconds() / MARGIN - 1


def test_an_order_that_waits_for_its_turn_to_be_written_is_asked_about_afterwards() -> None:
    """More messages than a second may have go before it."""
    closes_at: list[float] = []

    def fence() -> None:
        if time.monotonic() > closes_at[0]:
            raise LeaseLost("too late")

    with serving() as served, connected(served, messages_per_s=5) as broker:
        broker.snapshot("DU1")
        session = broker._connection._session
        assert session is not None

        def fill_the_second() -> None:
            for _ in range(5):
                session.ib.protocol.reqCurrentTime()
            session.ib.protocol._flush()
            closes_at.append(time.monotonic() + 0.4)

        broker._connection.post(fill_the_second)
        with pytest.raises(LeaseLost):
            list(broker.execute([order("a")], 5, lambda: None, fence))
        broker.snapshot("DU1")
        assert served.do(lambda gateway: gateway.orders) == []
