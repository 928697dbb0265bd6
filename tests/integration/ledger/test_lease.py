"""The lease of a run and its transactions, on a PostgreSQL that stays, goes away and comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from rebalancer.domain.claims import Claim
from rebalancer.domain.errors import LeaseLost, RecordUnavailable, RemovalRequested
from rebalancer.ledger import events, orders
from rebalancer.ledger.lease import MARGIN, Lease
from rebalancer.ledger.models import Event
from rebalancer.ledger.run import Run
from rebalancer.ledger.session import Ledger, Session
from rebalancer.ledger.states import EventState
from rebalancer.runner.servers import RunningServer
from tests.integration.ledger.test_events import LEASE, claimed, event, new_event
from tests.integration.state_machine.site import an_order
from tests.world import until

SHORT = timedelta(seconds=3)


@pytest.fixture
def claim(ledger: Ledger) -> Claim:
    return claimed(ledger, new_event(ledger))


def take_away(ledger: Ledger, claim: Claim) -> None:
    """Another attempt owns the event."""
    with ledger.begin() as session:
        session.execute(update(Event).where(Event.id == claim.event_id).values(attempt=claim.attempt + 1))


def test_our_deadline_passes_before_the_ledgers(ledger: Ledger, claim: Claim) -> None:
    lease = Lease(ledger, claim, LEASE)
    assert 0 < lease.left_s <= LEASE.total_seconds() * (MARGIN - 1) / MARGIN


def test_a_lease_that_passed_sends_nothing_more_and_asks_nobody(ledger: Ledger, claim: Claim) -> None:
    lease = Lease(ledger, claim, timedelta(0))
    with pytest.raises(LeaseLost, match=f"event {claim.event_id} could not be renewed in time"):
        lease.require()


def test_renewing_moves_both_deadlines(ledger: Ledger, claim: Claim) -> None:
    lease = Lease(ledger, claim, timedelta(0))
    before = event(ledger, claim.event_id).lease_until
    run = Lease(ledger, claim, LEASE * 2)
    run.renew()
    after = event(ledger, claim.event_id).lease_until
    assert before is not None
    assert after is not None
    assert after > before
    assert lease.left_s <= 0 < run.left_s


def test_a_thread_renews_it_while_the_block_runs(ledger: Ledger, claim: Claim) -> None:
    lease = Lease(ledger, claim, SHORT)
    first = event(ledger, claim.event_id).lease_until
    with lease.kept_alive():
        until(lambda: event(ledger, claim.event_id).lease_until != first)
        lease.require()


def test_the_thread_ends_a_lease_that_another_attempt_owns(ledger: Ledger, claim: Claim) -> None:
    lease = Lease(ledger, claim, SHORT * 5)
    with lease.kept_alive():
        lease.require()
        take_away(ledger, claim)
        until(lambda: lease.left_s <= 0, deadline_s=9)  # by itself it would last for 12.5 s
    with pytest.raises(LeaseLost):
        lease.require()


def test_the_thread_hears_of_a_removal(ledger: Ledger, claim: Claim) -> None:
    run = Run(ledger, claim, SHORT)
    with run.kept_alive():
        with ledger.begin() as session:
            events.remove(session, claim.event_id, "Ada")
        until(lambda: run.lease.removal_requested)
    with pytest.raises(RemovalRequested, match=str(claim.event_id)):
        run.checkpoint()


def test_a_run_outlasts_a_server_that_is_away_for_a_moment(
    ledger: Ledger, claim: Claim, postgres: RunningServer
) -> None:
    run = Run(ledger, claim, LEASE)
    tries = 0

    def succeeds(session: Session) -> EventState:
        nonlocal tries
        tries += 1
        state = events.succeed(session, claim, {})
        if tries == 1:
            postgres.restart()
        return state

    assert run.end(succeeds) is EventState.SUCCEEDED
    assert tries > 1
    assert event(ledger, claim.event_id).state == "succeeded"


def test_a_run_gives_up_with_its_lease(ledger: Ledger, claim: Claim, postgres: RunningServer) -> None:
    run = Run(ledger, claim, SHORT)
    postgres.stop()
    try:
        with run.kept_alive(), pytest.raises(LeaseLost, match=r"cannot confirm|could not be renewed in time"):
            run.require_lease()
        with pytest.raises(RecordUnavailable):
            run.unresolved()
    finally:
        postgres.start()
    assert event(ledger, claim.event_id).attempt == claim.attempt


def test_what_the_ledger_refuses_is_not_tried_again(ledger: Ledger, claim: Claim) -> None:
    run = Run(ledger, claim, LEASE)
    run.intend([an_order(claim, 1)])
    with pytest.raises(RecordUnavailable, match="duplicate key"):
        run.intend([an_order(claim, 1)])
    assert len(run.orders()) == 1


def test_nothing_of_a_run_that_was_taken_for_dead_goes_on_record(ledger: Ledger, claim: Claim) -> None:
    run = Run(ledger, claim, LEASE)
    run.decided({"seen": 1}, {"orders": []})
    take_away(ledger, claim)
    with pytest.raises(LeaseLost):
        run.decided({"seen": 2}, {"orders": ["another"]})
    with pytest.raises(LeaseLost):
        run.intend([an_order(claim, 1)])
    with ledger.begin() as session:
        assert orders.orders_of(session, claim) == ()
