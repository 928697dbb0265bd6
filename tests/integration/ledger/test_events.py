"""The life of an event on a real PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import LeaseLost, RecordUnavailable
from rebalancer.domain.outcomes import FOREVER
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import dispatch_claims, events, orders, ownership, signal_intake
from rebalancer.ledger.models import Attempt, Event, Signal
from rebalancer.ledger.queries import invariants
from rebalancer.ledger.session import Ledger, Session
from rebalancer.ledger.signal_intake import Addressee, NewSignal, Recorded
from rebalancer.ledger.states import EventState, Outcome
from rebalancer.risk import Blocked
from tests.integration.state_machine.site import an_order

LEASE = timedelta(seconds=60)
DU1 = Addressee("DU1", "blend")
DU2 = Addressee("DU2", "blend")


def submit(ledger: Ledger, *addressees: Addressee, command: Command = Command.REBALANCE, name: str = "") -> Recorded:
    with ledger.begin() as session:
        return signal_intake.record(session, NewSignal("blend", name or uuid4().hex, command, {}), addressees)


def new_event(ledger: Ledger, command: Command = Command.REBALANCE) -> UUID:
    return submit(ledger, DU1, command=command).served[0].event_id


def claimed(ledger: Ledger, event_id: UUID) -> Claim:
    claim = ownership.claim(ledger, event_id, "worker", LEASE)
    assert claim is not None
    return claim


def event(ledger: Ledger, event_id: UUID) -> Event:
    with ledger.begin() as session:
        return session.get_one(Event, event_id)


def make_due(ledger: Ledger, event_id: UUID) -> None:
    with ledger.begin() as session:
        session.execute(update(Event).where(Event.id == event_id).values(due_at=text("now()")))


def expire_lease(ledger: Ledger, event_id: UUID) -> None:
    with ledger.begin() as session:
        session.execute(update(Event).where(Event.id == event_id).values(lease_until=text("now() - interval '1 hour'")))


def reaped(session: Session, *dead: str) -> list[UUID]:
    return [one.event_id for one in events.reap(session, timedelta(seconds=60), timedelta(seconds=30), dead)]


def send_an_order(ledger: Ledger, claim: Claim) -> str:
    proposed, request = an_order(claim, 1)
    with ledger.begin() as session:
        orders.record_intents(session, claim, [(proposed, request)])
    return request.order_ref


def test_one_signal_opens_one_event_per_account(ledger: Ledger) -> None:
    recorded = submit(ledger, DU2, DU1)
    assert [(one.account_id, one.created) for one in recorded.served] == [("DU1", True), ("DU2", True)]


def test_the_same_message_again_changes_nothing(ledger: Ledger) -> None:
    first = submit(ledger, DU1, name="m1")
    again = submit(ledger, DU1, name="m1")
    assert again.duplicate
    assert [one.event_id for one in again.served] == [one.event_id for one in first.served]
    assert event(ledger, first.served[0].event_id).requested_generation == 1


def test_a_signal_for_nobody_is_on_record(ledger: Ledger) -> None:
    submit(ledger)
    with ledger.begin() as session:
        assert session.scalars(select(Signal.state)).one() == "unaddressed"


def test_a_waiting_event_absorbs_a_new_signal(ledger: Ledger) -> None:
    first, second = submit(ledger, DU1).served[0], submit(ledger, DU1).served[0]
    assert (second.event_id, second.created) == (first.event_id, False)
    claim = claimed(ledger, first.event_id)
    with ledger.begin() as session:
        assert events.succeed(session, claim, {}) is EventState.SUCCEEDED


def test_a_signal_during_a_run_causes_exactly_one_more_run(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    for _ in range(3):
        assert submit(ledger, DU1).served[0].event_id == event_id
    with ledger.begin() as session:
        assert events.succeed(session, claim, {}) is EventState.QUEUED
    second = claimed(ledger, event_id)
    with ledger.begin() as session:
        assert events.succeed(session, second, {}) is EventState.SUCCEEDED
    assert event(ledger, event_id).times_queued == 1  # a wish fulfilled is not a retry


def test_different_commands_of_one_account_coexist_in_the_queue(ledger: Ledger) -> None:
    assert new_event(ledger) != new_event(ledger, Command.PRINT_EQUITY)


def test_a_second_message_finds_nothing_to_claim(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    claimed(ledger, event_id)
    assert ownership.claim(ledger, event_id, "other", LEASE) is None


def test_an_event_that_is_not_due_cannot_be_claimed(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    with ledger.begin() as session:
        events.fail(session, claim, "boom", timedelta(seconds=60))
    assert ownership.claim(ledger, event_id, "worker", LEASE) is None


def test_twenty_racing_workers_have_one_winner(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    wins: list[Claim] = []
    start = threading.Barrier(20)

    def race() -> None:
        start.wait()
        claim = ownership.claim(ledger, event_id, "worker", LEASE)
        if claim is not None:
            wins.append(claim)

    racers = [threading.Thread(target=race) for _ in range(20)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(wins) == 1


def test_commands_that_touch_orders_exclude_each_other_per_account(ledger: Ledger) -> None:
    running = claimed(ledger, new_event(ledger))
    waiting = new_event(ledger, Command.CANCEL_ORDERS)
    assert ownership.claim(ledger, waiting, "worker", LEASE) is None
    assert event(ledger, waiting).reason == "busy"
    claimed(ledger, new_event(ledger, Command.PRINT_EQUITY))
    claimed(ledger, submit(ledger, DU2).served[0].event_id)
    with ledger.begin() as session:
        events.succeed(session, running, {})
    claimed(ledger, waiting)


def test_a_failure_waits_and_keeps_its_reason(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    with ledger.begin() as session:
        events.fail(session, claim, "gateway away", timedelta(seconds=60), needs_attention=True)
    row = event(ledger, event_id)
    assert (row.state, row.times_queued, row.failures, row.last_error) == ("retrying", 2, 1, "gateway away")
    assert row.needs_attention
    assert timedelta(seconds=55) < row.due_at - datetime.now(UTC) <= timedelta(seconds=60)


def test_news_makes_a_retrying_event_due_at_once(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    with ledger.begin() as session:
        events.fail(session, claim, "refused", timedelta(hours=1))
    submit(ledger, DU1)
    claimed(ledger, event_id)


def test_news_wakes_an_event_that_waits_for_settlement(ledger: Ledger) -> None:
    """Case: what the new targets do not hold was kept until the next morning."""
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    tomorrow = datetime.now(UTC) + timedelta(hours=12)
    with ledger.begin() as session:
        events.hold(session, claim, Blocked(Rule.SETTLEMENT, "sale proceeds have to settle", tomorrow))
    submit(ledger, DU1)
    claimed(ledger, event_id)


def test_news_that_came_during_the_run_keeps_it_from_waiting_for_settlement(ledger: Ledger) -> None:
    """Case of a trial by chaos: new targets arrived while a run sold, and were kept until the next morning."""
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    submit(ledger, DU1)
    tomorrow = datetime.now(UTC) + timedelta(hours=12)
    with ledger.begin() as session:
        events.hold(session, claim, Blocked(Rule.SETTLEMENT, "sale proceeds have to settle", tomorrow))
    assert event(ledger, event_id).reason == "newer signal"
    again = claimed(ledger, event_id)
    with ledger.begin() as session:
        events.hold(session, again, Blocked(Rule.SETTLEMENT, "sale proceeds have to settle", tomorrow))
    assert event(ledger, event_id).state == "held"


def test_a_held_event_is_not_pulled_forward_by_news(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    with ledger.begin() as session:
        events.hold(
            session, claim, Blocked(Rule.MARKET_HOURS, "market closed", datetime.now(UTC) + timedelta(hours=12))
        )
    submit(ledger, DU1)
    assert ownership.claim(ledger, event_id, "worker", LEASE) is None


def test_whoever_lost_its_lease_can_neither_renew_nor_succeed(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    expire_lease(ledger, event_id)
    with ledger.begin() as session, pytest.raises(LeaseLost):
        ownership.renew(session, claim, LEASE)
    with ledger.begin() as session, pytest.raises(LeaseLost):
        events.succeed(session, claim, {})


def test_a_zombie_cannot_touch_its_successors_run(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    zombie = claimed(ledger, event_id)
    expire_lease(ledger, event_id)
    with ledger.begin() as session:
        assert reaped(session) == [event_id]
    make_due(ledger, event_id)
    successor = claimed(ledger, event_id)
    with ledger.begin() as session, pytest.raises(LeaseLost):
        events.fail(session, zombie, "late", timedelta())
    with ledger.begin() as session:
        assert events.succeed(session, successor, {}) is EventState.SUCCEEDED
        outcomes = session.scalars(select(Attempt.outcome).order_by(Attempt.number)).all()
    assert outcomes == [Outcome.LOST, Outcome.SUCCEEDED]


def test_a_dead_workers_event_is_taken_back_at_once(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    claimed(ledger, event_id)
    with ledger.begin() as session:
        assert reaped(session) == []
        assert reaped(session, "worker") == [event_id]
    claimed(ledger, event_id)


def test_removal_ends_a_waiting_event_and_stops_a_running_one(ledger: Ledger) -> None:
    waiting = new_event(ledger, Command.PRINT_EQUITY)
    running = new_event(ledger)
    claim = claimed(ledger, running)
    with ledger.begin() as session:
        assert events.remove(session, waiting, "by hand") is EventState.REMOVED
        assert events.remove(session, running, "by hand") is EventState.RUNNING
        assert events.remove(session, uuid4(), "by hand") is None
        assert ownership.renew(session, claim, LEASE) is True
        assert events.stop(session, claim) is EventState.REMOVED
        assert events.remove(session, running, "by hand") is None


@pytest.mark.parametrize("state", ["running", "retrying"])
def test_a_signal_after_the_removal_opens_a_new_event(ledger: Ledger, state: str) -> None:
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    send_an_order(ledger, claim)
    with ledger.begin() as session:
        if state == "retrying":
            events.fail(session, claim, "outcome unknown", timedelta())
        assert events.remove(session, event_id, "by hand") == state
    later = submit(ledger, DU1).served[0]
    assert later.created
    assert later.event_id != event_id


def test_a_removed_event_ends_only_when_its_orders_are_accounted_for(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    ref = send_an_order(ledger, claim)
    with ledger.begin() as session:
        events.fail(session, claim, "outcome unknown", timedelta(hours=1))
        assert events.remove(session, event_id, "by hand") is EventState.RETRYING
    looking_after = claimed(ledger, event_id)  # at once, not in an hour
    assert looking_after.removed
    with ledger.begin() as session:
        orders.finalize(session, [ref])
        events.stop(session, looking_after)
    assert (event(ledger, event_id).state, event(ledger, event_id).reason) == ("removed", "by hand")


def test_attention_stays_until_a_success_and_refusals_are_counted_apart(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    counted = []
    for refused, attention in ((False, False), (True, False), (True, True), (False, False)):
        claim = claimed(ledger, event_id)
        with ledger.begin() as session:
            events.fail(session, claim, "boom", timedelta(), refused=refused, needs_attention=attention)
        row = event(ledger, event_id)
        counted.append((row.failures, row.refusals, row.needs_attention))
    assert counted == [(1, 0, False), (2, 1, False), (3, 2, True), (4, 0, True)]
    claim = claimed(ledger, event_id)
    assert claim.needs_attention
    submit(ledger, DU1)
    with ledger.begin() as session:
        events.succeed(session, claim, {})
    row = event(ledger, event_id)
    assert (row.failures, row.refusals, row.needs_attention) == (0, 0, False)


def test_three_lost_workers_in_a_row_are_raised_once_and_slow_down(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    raised, pauses = [], []
    for _ in range(4):
        make_due(ledger, event_id)
        claimed(ledger, event_id)
        with ledger.begin() as session:
            (one,) = events.reap(session, timedelta(seconds=60), timedelta(), ["worker"])
        raised.append(one.raised)
        pauses.append(round((event(ledger, event_id).due_at - datetime.now(UTC)).total_seconds() / 60))
    assert raised == [False, False, True, False]
    assert pauses == [0, 2, 4, 8]


@pytest.mark.parametrize("ending", ["fail", "hold", "reap"])
def test_a_removed_running_event_never_comes_back(ledger: Ledger, ending: str) -> None:
    event_id = new_event(ledger)
    claim = claimed(ledger, event_id)
    with ledger.begin() as session:
        events.remove(session, event_id, "by hand")
    with ledger.begin() as session:
        if ending == "fail":
            events.fail(session, claim, "boom", timedelta())
        elif ending == "hold":
            events.hold(session, claim, Blocked(Rule.MARKET_HOURS, "closed", FOREVER))
        else:
            events.reap(session, timedelta(), timedelta(), ["worker"])
    assert event(ledger, event_id).state == "removed"


def test_due_events_are_numbered_once_until_their_message_is_stale(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    with ledger.begin() as session:
        first = dispatch_claims.take_due(session, timedelta(seconds=60))
    with ledger.begin() as session:
        assert dispatch_claims.take_due(session, timedelta(seconds=60)) == []
    with ledger.begin() as session:
        assert dispatch_claims.take_due(session, timedelta(0), [event_id]) == []  # its message waits in the queue
    with ledger.begin() as session:
        lost = dispatch_claims.take_due(session, timedelta(0))
    assert [(one.event_id, one.dispatch_no) for one in (*first, *lost)] == [(event_id, 1), (event_id, 2)]


def test_an_account_at_work_hides_its_other_exclusive_events(ledger: Ledger) -> None:
    claimed(ledger, new_event(ledger))
    new_event(ledger, Command.CANCEL_ORDERS)
    with ledger.begin() as session:
        assert dispatch_claims.take_due(session, timedelta(0)) == []


def test_the_schema_itself_allows_one_active_event_per_key(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    with pytest.raises(RecordUnavailable, match="uq_events_active_key"), ledger.begin() as session:
        session.execute(
            text(
                "INSERT INTO events SELECT (json_populate_record(e, json_build_object('id', gen_random_uuid()))).*"
                " FROM events e WHERE id = :id"
            ),
            {"id": event_id},
        )


def test_a_run_whose_claim_began_while_another_one_ended_started_after_it(ledger: Ledger) -> None:
    """A claim's transaction may wait; what it began with is not when the run has the event."""
    first, second = new_event(ledger), submit(ledger, DU1, command=Command.CANCEL_ORDERS).served[0].event_id
    claim = claimed(ledger, first)
    with ledger.begin() as session:
        session.execute(text("SELECT now()"))
        with ledger.begin() as ending:
            events.succeed(ending, claim, {})
        assert ownership._claim(session, second, "worker", LEASE) is not None
    with ledger.begin() as session:
        assert invariants.overlaps(session) == []


def test_no_run_begins_while_it_is_asked_who_is_running(ledger: Ledger) -> None:
    recorded = submit(ledger, DU1, DU2)
    first, second = (served.event_id for served in recorded.served)
    claim = claimed(ledger, first)
    with ledger.begin() as session:
        assert invariants.running_alone(session) == {claim.account_id}
        with ledger.begin() as other:
            other.execute(text("SET LOCAL lock_timeout = '100ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                ownership._claim(other, second, "worker", LEASE)
            other.rollback()
    claimed(ledger, second)
