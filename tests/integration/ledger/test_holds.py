"""Why an event waits: what holds it is on record, decided when it is written, and ends with its cause."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from rebalancer.domain.approvals import Question
from rebalancer.domain.claims import Claim
from rebalancer.domain.errors import RecordUnavailable, Refused
from rebalancer.domain.outcomes import FOREVER
from rebalancer.domain.rule_names import Rule
from rebalancer.health.readiness import founded
from rebalancer.ledger import approvals, events, halts, holds, unacknowledged_orders
from rebalancer.ledger.models import ApprovalRow, Event, HaltRow, NoticeRow
from rebalancer.ledger.queries import digest
from rebalancer.ledger.session import Ledger, Session
from rebalancer.risk import Blocked
from tests.integration.ledger.test_events import DU1, DU2, claimed, event, new_event, send_an_order, submit
from tests.world import until

TOMORROW = datetime.now(UTC) + timedelta(days=1)
CLOSED = Blocked(Rule.MARKET_HOURS, "market closed", TOMORROW)
ASKED = Blocked(Rule.APPROVAL, "needs approval: large", TOMORROW)


def halted(ledger: Ledger, scope: str = "all") -> Blocked:
    """A halt, as a run sees it."""
    with ledger.begin() as session:
        halts.halt(session, scope, "fire drill", "ada")
        return next(one.blocks for one in halts.in_force(session) if one.scope == scope)


def hold(ledger: Ledger, claim: Claim, blocked: Blocked) -> Event:
    with ledger.begin() as session:
        events.hold(session, claim, blocked)
    return event(ledger, claim.event_id)


def resume(ledger: Ledger, scope: str) -> list[UUID] | None:
    with ledger.begin() as session:
        return halts.resume(session, scope, "ada")


def ask(session: Session, claim: Claim) -> None:
    approvals.ask(session, claim, Question(("large",), {}, {"equity": "1"}, None, TOMORROW))


def is_due(row: Event) -> bool:
    return row.due_at <= datetime.now(UTC)


def test_what_holds_an_event_is_on_record_as_data(ledger: Ledger) -> None:
    blocked = halted(ledger)
    row = hold(ledger, claimed(ledger, new_event(ledger)), blocked)
    with ledger.begin() as session:
        assert row.halt_id == session.scalars(select(HaltRow.id)).one()
    assert (row.state, row.rule, row.due_at) == ("held", "halt", FOREVER)
    row = hold(ledger, claimed(ledger, submit(ledger, DU2).served[0].event_id), CLOSED)
    assert (row.state, row.rule, row.halt_id, row.due_at) == ("held", "market_hours", None, TOMORROW)


def test_a_refusal_is_on_record_as_data_too(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    refusal = Refused(Rule.ALLOCATIONS_OLD, "the targets are of last year")
    with ledger.begin() as session:
        events.fail(session, claim, str(refusal), timedelta(), refused=True, rule=refusal.rule)
    assert event(ledger, claim.event_id).rule == "allocations_old"
    assert claimed(ledger, claim.event_id)
    assert event(ledger, claim.event_id).rule is None


def test_a_halt_that_is_lifted_while_the_run_is_ending_holds_nothing(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    seen = halted(ledger)
    assert resume(ledger, "all") == []  # nothing is held yet: the run follows what it has sent to its end
    row = hold(ledger, claim, seen)
    assert (row.state, row.rule, row.halt_id) == ("queued", None, None)
    claimed(ledger, claim.event_id)


def test_a_resume_at_the_moment_of_the_hold_frees_it(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    seen = halted(ledger)
    freed: list[list[UUID] | None] = []
    person = threading.Thread(target=lambda: freed.append(resume(ledger, "all")))
    with ledger.begin() as session:
        events.hold(session, claim, seen)
        person.start()
        until(lambda: _somebody_waits(ledger))
    person.join(10)
    assert freed == [[claim.event_id]]
    assert (event(ledger, claim.event_id).state, is_due(event(ledger, claim.event_id))) == ("queued", True)


def test_an_event_is_held_by_the_halt_that_is_in_force_when_it_is_written(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    seen = halted(ledger, "all")
    halted(ledger, "DU1")
    resume(ledger, "all")
    assert "halted: DU1" in hold(ledger, claim, seen).reason
    halted(ledger, "all")
    assert resume(ledger, "all") == [], "another halt holds it"
    assert resume(ledger, "DU1") == [claim.event_id]


def test_a_halt_that_the_program_lifts_frees_what_it_held(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    with ledger.begin() as session:
        halts.halt_too(session, "DU1", "an order is not acknowledged", unacknowledged_orders.BY)
        (halt,) = halts.in_force(session)
    assert not is_due(hold(ledger, claim, halt.blocks))
    with ledger.begin() as session:
        assert halts.lift_own(session, "DU1", unacknowledged_orders.BY)
    claimed(ledger, claim.event_id)


def test_a_halt_that_looks_again_by_itself_does_so_under_another(ledger: Ledger) -> None:
    seen = halted(ledger)
    with ledger.begin() as session:
        halts.halt_too(session, "DU1", "an order is not acknowledged", unacknowledged_orders.BY)
    row = hold(ledger, claimed(ledger, new_event(ledger)), seen)
    assert row.due_at < TOMORROW
    assert resume(ledger, "all") == []
    with ledger.begin() as session:
        assert halts.lift_own(session, "DU1", unacknowledged_orders.BY)
    assert event(ledger, row.id).state == "queued"


def test_a_plan_holds_its_event_as_long_as_it_is_before_a_person(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    with ledger.begin() as session:
        ask(session, claim)
    assert hold(ledger, claim, ASKED).rule == "approval"
    with ledger.begin() as session:
        assert approvals.approve(session, claim.event_id, "ada")
    again = claimed(ledger, claim.event_id)
    assert hold(ledger, again, ASKED).state == "queued", "the answer is there: nothing to wait for"


def test_a_success_leaves_no_plan_before_a_person(ledger: Ledger) -> None:
    """Else a person could answer it while the event is held by something else, for what came later."""
    claim = claimed(ledger, new_event(ledger))
    with ledger.begin() as session:
        ask(session, claim)
    submit(ledger, DU1)
    with ledger.begin() as session:
        events.succeed(session, claim, {})
    hold(ledger, claimed(ledger, claim.event_id), CLOSED)
    with ledger.begin() as session:
        assert approvals.pending(session) == []
        assert approvals.reject(session, claim.event_id, "ada") is None


def test_what_is_being_removed_waits_for_its_orders_alone(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    send_an_order(ledger, claim)
    with ledger.begin() as session:
        events.remove(session, claim.event_id, "by hand")
    row = hold(ledger, claim, CLOSED)
    assert (row.state, row.reason, row.rule) == ("queued", "by hand", None)
    assert claimed(ledger, claim.event_id).removed


def test_removal_takes_the_hold_away(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    send_an_order(ledger, claim)
    hold(ledger, claim, halted(ledger))
    with ledger.begin() as session:
        assert events.remove(session, claim.event_id, "by hand") == "queued"
    assert claimed(ledger, claim.event_id).removed


def test_a_busy_account_is_no_reason_to_wait_longer_than_it_is_busy(ledger: Ledger) -> None:
    running, busy = claimed(ledger, new_event(ledger)), submit(ledger, DU2).served[0].event_id
    held = claimed(ledger, busy)
    hold(ledger, held, Blocked(Rule.MARKET_HOURS, "busy", TOMORROW))
    with ledger.begin() as session:
        session.execute(update(Event).where(Event.id == busy).values(account_id="DU1", command="cancel-orders"))
        events.succeed(session, running, {})
    assert not is_due(event(ledger, busy)), "held by the market, whatever its reason says in words"


def _somebody_waits(ledger: Ledger) -> bool:
    with ledger.begin() as session:
        return bool(session.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")))


def _lift_by_hand(session: Session) -> None:
    session.execute(update(HaltRow).values(lifted_at=text("now()")))


def _expire_by_hand(session: Session) -> None:
    session.execute(update(ApprovalRow).values(state="replaced"))


def _forget_the_time(session: Session) -> None:
    session.execute(update(Event).where(Event.rule == Rule.MARKET_HOURS).values(due_at=FOREVER))


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [(Rule.HALT, _lift_by_hand), (Rule.APPROVAL, _expire_by_hand), (Rule.MARKET_HOURS, _forget_the_time)],
)
def test_an_event_that_waits_for_nothing_is_named_and_freed(
    ledger: Ledger, rule: Rule, spoil: Callable[[Session], None]
) -> None:
    claim = claimed(ledger, new_event(ledger))
    with ledger.begin() as session:
        ask(session, claim)
    blocked = {Rule.HALT: halted(ledger), Rule.APPROVAL: ASKED, Rule.MARKET_HOURS: CLOSED}[rule]
    hold(ledger, claim, blocked)
    with ledger.begin() as session:
        assert founded(session).ok
        assert holds.release(session) == []
        spoil(session)
    with ledger.begin() as session:
        check = founded(session)
        assert not check.ok
        assert f"rebalance of DU1 ({claim.event_id})" in check.detail
        assert digest.account_days(session, ["DU1", "DU2"], TOMORROW)["DU1"]["stranded"] == 1
        assert [(one.event_id, one.rule) for one in holds.release(session)] == [(claim.event_id, rule)]
    with ledger.begin() as session:
        assert founded(session).ok
    claimed(ledger, claim.event_id)


def test_the_schema_itself_wants_a_reason_of_whatever_is_held(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    for values, constraint in (({}, "ck_events_rule"), ({"rule": "halt"}, "ck_events_halt")):
        held = update(Event).where(Event.id == event_id).values(state="held", **values)
        with pytest.raises(RecordUnavailable, match=constraint), ledger.begin() as session:
            session.execute(held)


def test_nobody_is_told_of_a_wait_that_has_ended(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    seen = halted(ledger)
    resume(ledger, "all")
    hold(ledger, claim, seen)
    with ledger.begin() as session:
        assert session.scalars(select(NoticeRow.kind)).all() == ["halted", "resumed"]
