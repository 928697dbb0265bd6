"""The smallest account trades first, and the others only when that has gone well, or at a person's word."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import update

from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.strategy_holds import HoldState
from rebalancer.ledger.models import StrategyHoldRow
from rebalancer.operations import strategy_holds as operations
from sandbox.gateway.checks import Refusal
from tests.integration.strategies.conftest import Desk
from tests.world import held, until

# 250,000 USD in cash, and two smaller ones.
LARGE, SMALL, MIDDLE = "DU1000001", "DU1000003", "DU1000002"
REJECTION = Refusal(201, "Order rejected - reason: no")
THREE = {LARGE: "", SMALL: "", MIDDLE: ""}


def know_equities(desk: Desk) -> None:
    """Each account was looked at once."""
    for event_id in desk.signal(Command.PRINT_REBALANCE).values():
        desk.world.finish(event_id)


def test_the_smallest_account_goes_first_and_the_others_follow_when_it_went_well(desk: Desk) -> None:
    desk.configure(THREE)
    desk.world.start_worker()
    know_equities(desk)
    events = desk.signal()
    (hold,) = desk.holds()
    assert (hold.account_id, hold.event_id) == (SMALL, events[SMALL])
    desk.until(events[SMALL], "succeeded", judged=False)
    for account in (LARGE, MIDDLE):
        desk.until(events[account], "held", judged=False)
        seen = desk.world.event(events[account])
        assert seen.rule == "canary"
        assert f"event {events[SMALL]} of {SMALL} trades first" in seen.reason
        assert desk.sent(account) == 0

    rules = desk.world.finish(desk.world.submit(LARGE, Command.PRINT_REBALANCE)).result
    assert rules is not None
    assert [rule["rule"] for rule in rules["rules"]] == ["canary"]
    rules = desk.world.finish(desk.world.submit(SMALL, Command.PRINT_REBALANCE)).result
    assert rules is not None
    assert rules["rules"] == []

    for account in (LARGE, MIDDLE):
        desk.until(events[account], "succeeded")
        assert held(desk.world, account)
    assert desk.ended() == [("passed", "the canary")]
    assert desk.told() == [NoticeKind.REBALANCED] * 3


def test_a_rejection_is_one_question_and_a_person_lets_the_others_go(desk: Desk) -> None:
    desk.configure(THREE)
    desk.world.start_worker()
    know_equities(desk)
    desk.gateway.reject = REJECTION
    events = desk.signal()
    hold = desk.asked()
    assert hold.account_id == SMALL
    assert "201" in hold.reasons[0]
    for account in (LARGE, MIDDLE):
        desk.until(events[account], "held", "canary")
        until(lambda account=account: "a person decides" in desk.world.event(events[account]).reason)  # type: ignore[misc]
        assert desk.sent(account) == 0
    assert desk.told().count(NoticeKind.STRATEGY_HELD) == 1
    with pytest.raises(RequestRefused, match=f"those that are: {hold.id}"):
        operations.release(desk.services, hold.id + 1, "Ada")

    desk.gateway.reject = None
    assert operations.release(desk.services, hold.id, "Ada") == 2
    for account in THREE:
        desk.until(events[account], "succeeded")
    assert desk.ended() == [("released", "Ada")]


def test_what_waits_can_be_withdrawn_and_the_next_signal_finds_every_account(desk: Desk) -> None:
    desk.configure(THREE)
    desk.world.start_worker()
    know_equities(desk)
    desk.gateway.reject = REJECTION
    events = desk.signal()
    hold = desk.asked()
    for account in (LARGE, MIDDLE):
        desk.until(events[account], "held", "canary")
    desk.gateway.reject = None
    assert operations.withdraw(desk.services, hold.id, "Ada") == 2
    assert {desk.state(events[account]) for account in (LARGE, MIDDLE)} == {"removed"}
    desk.until(events[SMALL], "succeeded")
    again = desk.signal()
    assert again[LARGE] != events[LARGE]
    for account in THREE:
        desk.until(again[account], "succeeded")
    assert desk.ended() == [("withdrawn", "Ada"), ("passed", "the canary")]


def undecided(desk: Desk) -> dict[str, UUID]:
    """Events of a signal whose canary waits for a person, and the other account for the canary."""
    desk.configure({LARGE: "", SMALL: ", approval: manual"})
    desk.world.start_worker()
    know_equities(desk)
    events = desk.signal()
    desk.until(events[SMALL], "held", "approval")
    desk.until(events[LARGE], "held", "canary")
    return events


def test_a_canary_that_does_not_finish_in_time_is_a_question(desk: Desk) -> None:
    undecided(desk)
    assert [one.state for one in desk.holds()] == [HoldState.TRADING]
    with desk.world.ledger.begin() as session:
        session.execute(update(StrategyHoldRow).values(judge_by=StrategyHoldRow.since))
    hold = desk.asked()
    assert "it has not finished within 60 minutes: held, needs approval" in hold.reasons[0]
    assert desk.sent(LARGE) == 0


def test_a_newer_signal_takes_the_place_of_an_older_one(desk: Desk) -> None:
    first = undecided(desk)
    desk.configure({LARGE: "", SMALL: ""})
    second = desk.signal()
    assert second == first, "the waiting events serve it, too"
    assert [state for state, _ in desk.ended()] == ["superseded", "trading"]
    desk.until(second[LARGE], "held", "canary")
    assert desk.sent(LARGE) == 0


def test_a_guard_that_is_taken_out_of_the_file_holds_nothing_any_more(desk: Desk) -> None:
    events = undecided(desk)
    desk.configure({LARGE: "", SMALL: ", approval: manual"}, guard="")
    desk.until(events[LARGE], "succeeded")
    assert [state for state, _ in desk.ended()] == ["released"]


def test_without_a_canary_nothing_is_held(desk: Desk) -> None:
    desk.configure(THREE, guard="")
    desk.world.start_worker()
    events = desk.signal()
    for account in THREE:
        desk.until(events[account], "succeeded")
    assert desk.ended() == []
