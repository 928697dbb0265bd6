"""What is on record of held strategies, whoever does what at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from rebalancer.domain.commands import Command
from rebalancer.domain.outcomes import FOREVER, Blocked
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.strategy_holds import CanaryTerms, HoldState, StrategyGuard
from rebalancer.domain.units import Ratio
from rebalancer.ledger import (
    account_snapshots,
    canaries,
    events,
    halts,
    holds,
    ownership,
    signal_intake,
    strategy_holds,
)
from rebalancer.ledger.admin import retention
from rebalancer.ledger.models import Event, StrategyHoldRow
from rebalancer.ledger.session import Ledger, Session
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.ledger.states import EventState

LEASE = timedelta(minutes=5)
GUARD = StrategyGuard(CanaryTerms(Ratio(Decimal("0.005")), timedelta(hours=1)))
GUARDS = {"blend": GUARD}
ACCOUNTS = ("DU1", "DU2", "DU3")


def signal(session: Session, guard: StrategyGuard | None = GUARD, *accounts: str) -> dict[str, UUID]:
    new = NewSignal("blend", uuid4().hex, Command.REBALANCE, {})
    addressees = [Addressee(account, "blend", guard=guard) for account in accounts or ACCOUNTS]
    return {one.account_id: one.event_id for one in signal_intake.record(session, new, addressees).served}


def hold(ledger: Ledger, event_id: UUID) -> EventState:
    """Its run has met the hold."""
    claim = ownership.claim(ledger, event_id, "w/1/1", LEASE)
    assert claim is not None
    with ledger.begin() as session:
        return events.hold(session, claim, Blocked(Rule.CANARY, "canary", FOREVER))


def succeed(ledger: Ledger, event_id: UUID) -> None:
    claim = ownership.claim(ledger, event_id, "w/1/1", LEASE)
    assert claim is not None
    with ledger.begin() as session:
        events.succeed(session, claim, {})


def settle(ledger: Ledger) -> list[HoldState]:
    with ledger.begin() as session:
        open_ids = strategy_holds.open_ids(session)
    changed = []
    for hold_id in open_ids:
        with ledger.begin() as session:
            changed.append(canaries.settle(session, hold_id, GUARDS))
    return [one.state for one in changed if one is not None]


def canary(ledger: Ledger) -> str:
    with ledger.begin() as session:
        (one,) = strategy_holds.in_force(session)
    return one.account_id


def look(session: Session, account_id: str, equity: str) -> None:
    event_id = signal(session, None, account_id)[account_id]
    account_snapshots.keep(
        session,
        account_id=account_id,
        event_id=event_id,
        attempt=1,
        moment="before",
        at=datetime.now(UTC),
        net_liquidation=Decimal(equity),
        cash=Decimal(0),
        positions=[],
    )


def test_the_smallest_known_account_is_the_canary_and_a_halted_or_unknown_one_is_the_last(ledger: Ledger) -> None:
    with ledger.begin() as session:
        signal(session)
    assert canary(ledger) == "DU1", "of none anything is known"
    with ledger.begin() as session:
        look(session, "DU3", "50000")
        look(session, "DU2", "70000")
        signal(session)
    assert canary(ledger) == "DU3"
    with ledger.begin() as session:
        halts.halt(session, "DU3", "travelling", "Ada")
        signal(session)
    assert canary(ledger) == "DU2"


def test_no_canary_for_one_account_nor_for_what_does_not_trade(ledger: Ledger) -> None:
    with ledger.begin() as session:
        signal(session, GUARD, "DU1")
        everyone = [Addressee(account, "blend", guard=GUARD) for account in ACCOUNTS]
        signal_intake.record(session, NewSignal("blend", "m", Command.PRINT_REBALANCE, {}), everyone)
        assert strategy_holds.in_force(session) == []


def test_a_hold_that_ends_while_a_run_is_about_to_meet_it_keeps_nothing(ledger: Ledger) -> None:
    with ledger.begin() as session:
        served = signal(session)
    claim = ownership.claim(ledger, served["DU2"], "w/1/1", LEASE)
    assert claim is not None
    succeed(ledger, served["DU1"])
    assert settle(ledger) == [HoldState.PASSED]
    with ledger.begin() as session:
        state = events.hold(session, claim, Blocked(Rule.CANARY, "canary", FOREVER))
    assert state is EventState.QUEUED


def test_a_run_that_is_held_after_the_question_was_asked_says_that_a_person_decides(ledger: Ledger) -> None:
    """It met the hold while the canary was trading still."""
    with ledger.begin() as session:
        served = signal(session)
        (hold_id,) = strategy_holds.open_ids(session)
    with ledger.begin() as session:
        assert strategy_holds.ask(session, hold_id, ["201: no"])
    other = next(account for account in ACCOUNTS if account != canary(ledger))
    assert hold(ledger, served[other]) is EventState.HELD
    with ledger.begin() as session:
        assert "201: no; a person decides" in str(session.scalar(select(Event.reason).where(Event.id == served[other])))


def test_what_waits_is_freed_by_the_success_of_the_canary_and_not_before(ledger: Ledger) -> None:
    with ledger.begin() as session:
        served = signal(session)
    assert hold(ledger, served["DU2"]) is EventState.HELD
    assert settle(ledger) == []
    with ledger.begin() as session:
        assert holds.release(session) == []
        assert strategy_holds.of_account(session, "DU1") is None
        assert strategy_holds.of_account(session, "DU2") is not None
    succeed(ledger, served["DU1"])
    assert settle(ledger) == [HoldState.PASSED]
    with ledger.begin() as session:
        assert session.get_one(Event, served["DU2"]).state == EventState.QUEUED
        assert strategy_holds.of_account(session, "DU2") is None


def test_a_success_of_before_the_signal_proves_nothing(ledger: Ledger) -> None:
    with ledger.begin() as session:
        served = signal(session, None)
    claim = ownership.claim(ledger, served["DU1"], "w/1/1", LEASE)
    assert claim is not None
    with ledger.begin() as session:
        assert signal(session) == served
    with ledger.begin() as session:
        assert events.succeed(session, claim, {}) is EventState.QUEUED
    assert settle(ledger) == []
    succeed(ledger, served["DU1"])
    assert settle(ledger) == [HoldState.PASSED]


@pytest.mark.parametrize("rule", [Rule.MARKET_HOURS, Rule.ON_CLOSE, Rule.GATEWAY_RESTART])
def test_time_stands_still_while_the_market_is_closed(ledger: Ledger, rule: Rule) -> None:
    with ledger.begin() as session:
        served = signal(session)
    claim = ownership.claim(ledger, served["DU1"], "w/1/1", LEASE)
    assert claim is not None
    opens = datetime.now(UTC) + timedelta(hours=60)
    with ledger.begin() as session:
        events.hold(session, claim, Blocked(rule, "closed", opens))
        session.execute(update(StrategyHoldRow).values(judge_by=StrategyHoldRow.since))
    assert settle(ledger) == []
    with ledger.begin() as session:
        assert session.scalars(select(StrategyHoldRow.judge_by)).one() == opens + timedelta(hours=1)


def test_a_removed_canary_is_a_question_and_withdrawal_ends_what_waits(ledger: Ledger) -> None:
    with ledger.begin() as session:
        served = signal(session)
    hold(ledger, served["DU2"])
    with ledger.begin() as session:
        events.remove(session, served["DU1"], "by Ada")
    assert settle(ledger) == [HoldState.ASKED]
    with ledger.begin() as session:
        (one,) = strategy_holds.in_force(session)
        assert one.reasons == ("it was removed before it had finished",)
        assert one.waiting == ("DU2",)
        assert strategy_holds.withdraw(session, one.id, "Ada") == [served["DU2"], served["DU3"]]
        assert strategy_holds.withdraw(session, one.id, "Ada") is None
        assert strategy_holds.end(session, one.id, HoldState.RELEASED, "Ada") is None
        session.expire_all()
        assert session.get_one(Event, served["DU3"]).state == EventState.REMOVED, "though it had not met the hold yet"


def test_a_run_that_a_withdrawn_signal_has_joined_does_not_trade_it_afterwards(ledger: Ledger) -> None:
    with ledger.begin() as session:
        served = signal(session, None)
    claim = ownership.claim(ledger, served["DU2"], "w/1/1", LEASE)
    assert claim is not None
    with ledger.begin() as session:
        signal(session)
        (hold_id,) = strategy_holds.open_ids(session)
        strategy_holds.withdraw(session, hold_id, "Ada")
    with ledger.begin() as session:
        assert events.succeed(session, claim, {}) is EventState.REMOVED
        assert session.get_one(Event, served["DU1"]).state == EventState.QUEUED, "the canary keeps its own"


def test_old_holds_leave_with_their_events(ledger: Ledger) -> None:
    with ledger.begin() as session:
        served = signal(session)
    for account in ACCOUNTS[:1]:
        succeed(ledger, served[account])
    assert settle(ledger) == [HoldState.PASSED]
    for account in ACCOUNTS[1:]:
        succeed(ledger, served[account])
    with ledger.begin() as session:
        newer = signal(session, None)
    for event_id in newer.values():
        succeed(ledger, event_id)
    while True:
        with ledger.begin() as session:
            if not retention.clean_up(session, timedelta()):
                break
    with ledger.begin() as session:
        assert session.scalars(select(StrategyHoldRow)).all() == []


@pytest.mark.timeout(120)
def test_signals_runs_and_beat_at_the_same_moment_never_wait_for_each_other_in_a_circle(ledger: Ledger) -> None:
    def signals(_: int) -> None:
        for _ in range(15):
            with ledger.begin() as session:
                signal(session)

    def runs(number: int) -> None:
        for _ in range(40):
            with ledger.begin() as session:
                ids = session.scalars(select(Event.id).where(Event.account_id == ACCOUNTS[number])).all()
            for event_id in ids:
                claim = ownership.claim(ledger, event_id, f"w/{number}/1", LEASE)
                if claim is not None:
                    with ledger.begin() as session:
                        waits = strategy_holds.of_account(session, claim.account_id)
                    with ledger.begin() as session:
                        if waits is None:
                            events.succeed(session, claim, {})
                        else:
                            events.hold(session, claim, waits.blocks)

    def beats(_: int) -> None:
        for _ in range(60):
            settle(ledger)

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(what, number) for what in (signals, runs, beats) for number in range(2)]
        for one in work:
            one.result()
    with ledger.begin() as session:
        assert len(strategy_holds.in_force(session)) <= 1
