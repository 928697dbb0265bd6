"""What an event is asked for: no wish replaces another, each is run, and a refused plan ends nothing but itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlalchemy.event import listen

from rebalancer.domain.approvals import Question
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import approvals, events, signal_intake
from rebalancer.ledger.models import Event, SignalEvent
from rebalancer.ledger.queries import invariants, request_outcome
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import NewSignal, Served
from rebalancer.ledger.states import EventState
from rebalancer.risk import Blocked
from tests.integration.ledger.test_events import DU1, claimed, event, make_due

TOMORROW = datetime.now(UTC) + timedelta(days=1)
FULL, BUY_ONLY = RebalanceKind(), RebalanceKind(RebalanceMode.BUY_ONLY)


def cash(amount: int) -> RebalanceKind:
    return RebalanceKind(RebalanceMode.RAISE_CASH, Decimal(amount))


def asked(ledger: Ledger, wish: RebalanceKind = FULL, command: Command = Command.REBALANCE) -> Served:
    """A wish of the one account."""
    with ledger.begin() as session:
        signal = NewSignal("blend" if wish == FULL else "cli", uuid4().hex, command, {}, kind=wish)
        return signal_intake.record(session, signal, [DU1]).served[0]


def run(ledger: Ledger, event_id: UUID, result: dict[str, Any] | None = None) -> tuple[RebalanceKind, EventState]:
    """One run that succeeds."""
    claim = claimed(ledger, event_id)
    with ledger.begin() as session:
        return claim.kind, events.succeed(session, claim, result or {})


def put_before_a_person(ledger: Ledger, event_id: UUID) -> None:
    """One run that asks for approval."""
    claim = claimed(ledger, event_id)
    with ledger.begin() as session:
        approvals.ask(session, claim, Question(("manual",), {}, {"equity": "1"}, None, TOMORROW))
    with ledger.begin() as session:
        events.hold(session, claim, Blocked(Rule.APPROVAL, "needs approval: manual", TOMORROW))


def rejected(ledger: Ledger, event_id: UUID) -> EventState | None:
    with ledger.begin() as session:
        return approvals.reject(session, event_id, "ada")


def test_an_answer_is_of_one_moment_though_the_run_ends_meanwhile(ledger: Ledger) -> None:
    """Never a result of an event that still runs, nor an event that has succeeded without its result."""
    request = asked(ledger)
    claim = claimed(ledger, request.event_id)
    ending = [claim]

    def end_it(*_statement: object) -> None:
        while ending:
            with ledger.begin() as other:
                events.succeed(other, ending.pop(), {"run": "full"})

    with ledger.begin() as session:
        listen(session.connection(), "after_cursor_execute", end_it)
        before = request_outcome.answer(session, request.event_id, request.request_no)
        after = request_outcome.answer(session, request.event_id, request.request_no)
    assert (before.state, before.result) == (EventState.RUNNING, None)
    assert (after.state, after.result) == (EventState.SUCCEEDED, {"run": "full"})


def assert_all_served(ledger: Ledger) -> None:
    with ledger.begin() as session:
        assert invariants.unserved(session) == []
        assert invariants.repeated(session) == []
        assert invariants.active(session) == 0


@pytest.mark.parametrize("order", [(FULL, cash(100)), (cash(100), FULL)], ids=["signal first", "person first"])
def test_a_signal_and_raised_cash_are_both_served_the_signal_first(
    ledger: Ledger, order: tuple[RebalanceKind, RebalanceKind]
) -> None:
    first, second = (asked(ledger, wish) for wish in order)
    assert second.event_id == first.event_id
    assert run(ledger, first.event_id) == (FULL, EventState.QUEUED)
    with ledger.begin() as session:
        assert len(invariants.unserved(session)) == 1
    assert run(ledger, first.event_id) == (cash(100), EventState.SUCCEEDED)
    assert_all_served(ledger)


def test_a_full_rebalance_may_leave_cash_within_its_bands_to_invest(ledger: Ledger) -> None:
    event_id = asked(ledger, BUY_ONLY).event_id
    asked(ledger, FULL)
    assert run(ledger, event_id) == (FULL, EventState.QUEUED)
    assert run(ledger, event_id) == (BUY_ONLY, EventState.SUCCEEDED)
    assert_all_served(ledger)


def test_cash_is_invested_before_other_cash_is_raised(ledger: Ledger) -> None:
    event_id = asked(ledger, cash(100)).event_id
    asked(ledger, BUY_ONLY)
    assert run(ledger, event_id) == (BUY_ONLY, EventState.QUEUED)
    assert run(ledger, event_id) == (cash(100), EventState.SUCCEEDED)
    assert_all_served(ledger)


def test_the_largest_of_several_sums_holds_the_others(ledger: Ledger) -> None:
    event_id = asked(ledger, cash(5000)).event_id
    asked(ledger, cash(100))
    assert run(ledger, event_id) == (cash(5000), EventState.SUCCEEDED)
    assert_all_served(ledger)


def test_previews_show_each_what_it_was_asked_for(ledger: Ledger) -> None:
    wishes = [cash(100), BUY_ONLY, FULL, cash(5000)]
    served = [asked(ledger, wish, Command.PRINT_REBALANCE) for wish in wishes]
    runs = [run(ledger, served[0].event_id)[0] for _ in wishes]
    assert runs == [FULL, BUY_ONLY, cash(5000), cash(100)]
    assert_all_served(ledger)


def test_what_joins_a_run_is_run_after_it(ledger: Ledger) -> None:
    event_id = asked(ledger, cash(100)).event_id
    claim = claimed(ledger, event_id)
    asked(ledger, FULL)
    asked(ledger, cash(50))
    with ledger.begin() as session:
        assert events.succeed(session, claim, {}) is EventState.QUEUED
    assert run(ledger, event_id) == (FULL, EventState.QUEUED)
    assert run(ledger, event_id) == (cash(50), EventState.SUCCEEDED), "asked for after the first run had begun"
    assert_all_served(ledger)


def test_a_failure_serves_nothing(ledger: Ledger) -> None:
    event_id = asked(ledger, FULL).event_id
    asked(ledger, cash(100))
    claim = claimed(ledger, event_id)
    with ledger.begin() as session:
        events.fail(session, claim, "gateway away", timedelta())
    assert run(ledger, event_id) == (FULL, EventState.QUEUED)
    assert run(ledger, event_id)[0] == cash(100)


def test_each_request_hears_of_its_own_run(ledger: Ledger) -> None:
    raised, full = asked(ledger, cash(100)), asked(ledger, FULL)
    assert (raised.request_no, full.request_no) == (1, 2)
    claim = claimed(ledger, full.event_id)
    with ledger.begin() as session:
        events.fail(session, claim, "gateway away", timedelta())
    with ledger.begin() as session:
        assert request_outcome.answer(session, full.event_id, full.request_no).error == "gateway away"
        assert not request_outcome.answer(session, full.event_id, raised.request_no).is_final
    run(ledger, full.event_id, {"run": "full"})
    with ledger.begin() as session:
        assert request_outcome.answer(session, full.event_id, full.request_no).result == {"run": "full"}
        assert not request_outcome.answer(session, full.event_id, raised.request_no).is_final
    run(ledger, full.event_id, {"run": "cash"})
    with ledger.begin() as session:
        assert request_outcome.answer(session, full.event_id, raised.request_no).result == {"run": "cash"}
        assert request_outcome.answer(session, full.event_id, full.request_no).result == {"run": "full"}


def test_a_rejection_ends_an_event_of_which_nothing_else_is_wanted(ledger: Ledger) -> None:
    served = asked(ledger, FULL)
    put_before_a_person(ledger, served.event_id)
    assert rejected(ledger, served.event_id) is EventState.REMOVED
    assert (event(ledger, served.event_id).state, event(ledger, served.event_id).reason) == (
        "removed",
        "rejected by ada",
    )
    assert rejected(ledger, served.event_id) is None


def test_a_signal_that_came_after_the_plan_outlives_its_rejection(ledger: Ledger) -> None:
    first = asked(ledger, FULL)
    put_before_a_person(ledger, first.event_id)
    newer = asked(ledger, FULL)
    assert (newer.event_id, newer.created) == (first.event_id, False)
    assert rejected(ledger, first.event_id) is EventState.QUEUED
    with ledger.begin() as session:
        assert request_outcome.answer(session, first.event_id, first.request_no).error == "rejected by ada"
        assert not request_outcome.answer(session, first.event_id, newer.request_no).is_final
        assert len(invariants.unserved(session)) == 1
    assert run(ledger, first.event_id) == (FULL, EventState.SUCCEEDED)
    assert_all_served(ledger)


def test_a_signal_that_a_plan_was_looked_at_again_with_outlives_its_rejection(ledger: Ledger) -> None:
    """The plan is as old as when it was shown, even if later runs have found it still waiting."""
    event_id = asked(ledger, FULL).event_id
    put_before_a_person(ledger, event_id)
    asked(ledger, FULL)
    make_due(ledger, event_id)
    claim = claimed(ledger, event_id)
    with ledger.begin() as session:
        events.hold(session, claim, Blocked(Rule.APPROVAL, "needs approval: manual", TOMORROW))
    assert rejected(ledger, event_id) is EventState.QUEUED


def test_the_rejection_of_a_full_plan_raises_the_cash_all_the_same(ledger: Ledger) -> None:
    event_id = asked(ledger, FULL).event_id
    asked(ledger, cash(100))
    put_before_a_person(ledger, event_id)
    assert rejected(ledger, event_id) is EventState.QUEUED
    assert run(ledger, event_id) == (cash(100), EventState.SUCCEEDED)
    assert_all_served(ledger)


@pytest.mark.parametrize("values", [{"kind": "sell-all"}, {"kind": "raise-cash"}, {"amount": 5}])
def test_the_schema_itself_keeps_no_wish_that_cannot_be_meant(ledger: Ledger, values: dict[str, Any]) -> None:
    asked(ledger, FULL)
    with pytest.raises(RecordUnavailable, match="ck_signal_events_"), ledger.begin() as session:
        session.execute(update(SignalEvent).values(values))


def test_what_a_channel_says_chooses_no_kind(ledger: Ledger) -> None:
    """Whatever the data of a waiting event say, it runs as what was asked for."""
    event_id = asked(ledger, FULL).event_id
    with ledger.begin() as session:
        session.execute(update(Event).values(data={"kind": "raise-cash", "amount": "17000"}))
    assert claimed(ledger, event_id).kind == FULL
