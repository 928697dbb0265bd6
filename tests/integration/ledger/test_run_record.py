"""The contract of a run's record: who owns the event, its orders, halts and plans before a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.domain.account_history import Traded
from rebalancer.domain.approvals import ApprovalState
from rebalancer.domain.errors import LeaseLost, OrderRejected, RecordUnavailable, RemovalRequested
from rebalancer.domain.household import Intention
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport
from rebalancer.domain.portfolio import Side
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.run_record import RunRecord
from rebalancer.ledger.halts import EVERYTHING
from tests.integration.ibkr.serving import until
from tests.integration.ledger.record_keepers import (
    ACCOUNT,
    GATEWAY,
    INPUTS,
    LATELY,
    OTHER,
    PLAN,
    POSITIONS,
    Keeper,
    an_order,
    fill,
    now,
    question,
    ref,
    snapshot,
    status,
    trace,
    traded,
)

# -- the right to work on the event ---------------------------------------------------------------------------------


def test_a_run_that_owns_its_event_passes_every_check(keeper: Keeper) -> None:
    run = keeper.claim()
    run.checkpoint()
    run.require_lease()
    run.fence()


def test_a_removal_stops_the_next_step_and_lets_orders_be_looked_after(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    keeper.remove(run)
    with pytest.raises(RemovalRequested):
        run.checkpoint()
    run.require_lease()
    run.finalize([ref(run)])


@pytest.mark.parametrize("check", ["checkpoint", "require_lease"])
def test_a_run_that_was_taken_over_is_told_so(keeper: Keeper, check: str) -> None:
    run = keeper.claim()
    keeper.take_over(run)
    with pytest.raises(LeaseLost):
        getattr(run, check)()


def test_a_lease_that_has_passed_shuts_the_run_without_asking_anybody(keeper: Keeper) -> None:
    run = keeper.claim(lease_s=0.2)

    def passed() -> bool:
        try:
            run.fence()
        except LeaseLost:
            return True
        return False

    until(passed)
    with pytest.raises(LeaseLost):
        run.checkpoint()


WRITES: Mapping[str, Callable[[RunRecord, str], object]] = {
    "intended": lambda run, _: run.intend([an_order(run, 9)]),
    "heard": lambda run, one: run.heard([status(one, OrderStatus.CANCELLED)]),
    "finalized": lambda run, one: run.finalize([one]),
    "never sent": lambda run, one: run.never_sent([one], "it says"),
    "interrupted": lambda run, one: run.interrupted([one], "it says"),
    "traced": lambda run, one: run.traced([one], {one: trace(one, OrderStatus.CANCELLED)}, now()),
    "missing": lambda run, one: run.traced([one], {}, now()),
    "unacknowledged": lambda run, one: run.hold_unacknowledged([one]),
    "others": lambda run, one: run.hold_for_others([one]),
    "released": lambda run, _: run.release_unacknowledged(GATEWAY),
    "decided": lambda run, _: run.decided(INPUTS, PLAN),
    "planned again": lambda run, _: run.planned_again("why", INPUTS, PLAN),
    "observed": lambda run, _: run.observed("before", snapshot(run), POSITIONS),
    "asked": lambda run, _: run.ask(question()),
}


@pytest.mark.parametrize("write", WRITES)
def test_nothing_that_a_stale_run_says_goes_on_record(keeper: Keeper, write: str) -> None:
    stale = keeper.claim()
    owner = keeper.take_over(stale)
    owner.intend([an_order(owner)])
    with pytest.raises(LeaseLost):
        WRITES[write](stale, ref(owner))
    assert [one.order_ref for one in owner.unresolved()] == [ref(owner)]
    assert (owner.halts(), owner.approval(), owner.seen(LATELY)) == ([], None, None)
    assert owner.orders()[0].status == "Planned"


def test_while_the_record_is_away_nothing_is_known_and_the_lease_cannot_be_confirmed(keeper: Keeper) -> None:
    run = keeper.cut_off(keeper.claim())
    with pytest.raises(RecordUnavailable) as told:
        run.halts()
    assert told.value.away
    for asked in (run.checkpoint, run.clearance, run.require_lease):
        with pytest.raises(LeaseLost):
            asked()


# -- orders ---------------------------------------------------------------------------------------------------------


def test_an_intent_is_on_record_before_anything_is_heard_of_it(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run, 1), an_order(run, 2)])
    sought = run.unresolved()
    assert [one.order_ref for one in sought] == [ref(run, 1), ref(run, 2)]
    assert (sought[0].symbol, sought[0].side, sought[0].quantity) == ("SPY", Side.BUY, 10)
    assert (sought[0].perm_id, sought[0].client_id) == (0, None)
    assert [one.status for one in run.orders()] == ["Planned", "Planned"]
    assert keeper.take_over(run).unresolved() == sought, "for whoever has the event next"


def test_a_removed_run_intends_nothing(keeper: Keeper) -> None:
    run = keeper.claim()
    keeper.remove(run)
    with pytest.raises(RemovalRequested):
        run.intend([an_order(run)])
    assert run.orders() == ()


def test_what_is_heard_is_folded_and_final_only_when_the_run_says_so(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    run.heard([status(ref(run), OrderStatus.SUBMITTED), fill(ref(run), 4, 4)])
    assert [(one.perm_id, one.client_id) for one in run.unresolved()] == [(4711, 7)]
    run.heard([fill(ref(run), 6, 10, "e.02.01", price="102"), status(ref(run), OrderStatus.FILLED, 10)])
    run.heard([CommissionReport("e.01.01", Decimal(1), "USD"), CommissionReport("e.02.01", Decimal(2), "USD")])
    [order] = run.orders()
    assert (order.status, order.filled, order.commission) == ("Filled", 10, 3)
    assert order.average_price == (4 * Decimal(101) + 6 * Decimal(102)) / 10
    assert run.unresolved()
    run.finalize([ref(run)])
    assert run.unresolved() == []
    assert run.unexplained() == []


def test_an_order_that_ends_filled_is_filled_whatever_its_last_status_was(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    run.heard([status(ref(run), OrderStatus.SUBMITTED), fill(ref(run), 10, 10)])
    run.finalize([ref(run)])
    assert run.orders()[0].status == "Filled"
    assert [one.order_ref for one in run.unexplained()] == [ref(run)], "its commission is not known"


def test_a_report_of_an_order_that_nobody_intended_is_an_error(keeper: Keeper) -> None:
    run = keeper.claim()
    with pytest.raises(KeyError):
        run.heard([status("nobodys", OrderStatus.SUBMITTED)])


def test_an_order_that_was_never_sent_counts_nowhere(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    assert run.ever_traded()
    run.never_sent([ref(run)], "the run stopped before")
    assert run.unresolved() == []
    assert not run.ever_traded()
    assert run.traded_since(now() - LATELY) == Traded()


@pytest.mark.parametrize(
    ("is_open", "left"), [(True, [1]), (False, [])], ids=["one that is open stays", "one that has ended goes"]
)
def test_what_the_brokers_lists_say_settles_orders(keeper: Keeper, is_open: bool, left: list[int]) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    found = trace(
        ref(run), OrderStatus.SUBMITTED if is_open else OrderStatus.CANCELLED, fill(ref(run), 4, 4), is_open=is_open
    )
    run.traced([ref(run)], {ref(run): found}, now())
    assert [one.order_ref for one in run.unresolved()] == [ref(run, number) for number in left]
    assert run.orders()[0].filled == 4


def test_an_order_in_none_of_the_lists_was_never_sent_only_if_nobody_ever_spoke_of_it(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run, number) for number in (1, 2, 3)])
    run.heard([status(ref(run, 1), OrderStatus.SUBMITTED), status(ref(run, 2), OrderStatus.CANCELLED)])
    run.traced([ref(run, number) for number in (1, 2, 3)], {}, now() - LATELY)
    assert [one.status for one in run.orders()] == ["Unlisted", "Cancelled", "NeverSent"]
    assert run.unresolved() == []


def test_lists_that_begin_after_an_order_prove_nothing_of_it(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    run.traced([ref(run)], {}, now() + LATELY)
    assert run.orders()[0].status == "Unlisted"
    assert run.traded_since(now() - LATELY).orders == 1


@pytest.mark.parametrize("broken", [False, True], ids=["over a connection that held", "over one that broke"])
def test_what_a_dead_worker_had_written_is_kept_back_by_the_gateway(keeper: Keeper, broken: bool) -> None:
    dead = keeper.claim()
    dead.intend([an_order(dead)])
    dead.heard([status(ref(dead), OrderStatus.PENDING_SUBMIT, confirmed=False, perm_id=0)])
    if broken:
        dead.interrupted([ref(dead)], "the connection ended")
    run = keeper.take_over(dead)
    run.traced([ref(dead)], {}, now() - LATELY)
    assert run.unacknowledged() == ([] if broken else [ref(dead)])


def test_a_refusal_stays_on_record_while_the_order_is_listed(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    run.heard([status(ref(run), OrderStatus.INACTIVE, code=201, text="no", refused=True)])
    assert run.refused() == {ref(run): OrderRejected(ref(run), 201, "no")}
    idle = trace(ref(run), OrderStatus.INACTIVE, is_open=True)
    run.traced([ref(run)], {ref(run): idle}, now())
    assert run.unresolved() == []
    assert [one.order_ref for one in run.unexplained()] == [ref(run)]
    run.traced([ref(run)], {}, now() - LATELY)
    assert run.refused() == {}


def test_filled_orders_bear_witness(keeper: Keeper) -> None:
    run = traded(keeper)
    assert [one.order_ref for one in run.witnesses(now() - LATELY)] == [ref(run)]
    assert run.witnesses(now()) == []
    assert run.perm_ids() == {4711}


# -- halts ----------------------------------------------------------------------------------------------------------


def test_an_account_waits_for_the_canary_of_its_strategy(keeper: Keeper) -> None:
    run, other = keeper.claim(), keeper.claim(OTHER)
    assert run.strategy_hold() is None
    keeper.hold_strategy(run)
    held = run.strategy_hold()
    assert held is not None
    assert held.rule is Rule.CANARY
    assert "DU0 trades first" in held.reason
    assert other.strategy_hold() is None


@pytest.mark.parametrize("scope", [ACCOUNT, EVERYTHING])
def test_a_halt_holds_until_it_is_lifted(keeper: Keeper, scope: str) -> None:
    run = keeper.claim()
    assert run.halts() == []
    keeper.halt(scope)
    keeper.halt(OTHER)
    [halt] = run.halts()
    assert halt.rule is Rule.HALT
    assert "by ada" in halt.reason
    assert "fire drill" in halt.reason
    keeper.resume(scope)
    assert run.halts() == []


@pytest.mark.parametrize("scope", [ACCOUNT, EVERYTHING])
def test_whoever_is_cleared_is_told_of_every_halt_that_the_account_is_under(keeper: Keeper, scope: str) -> None:
    run = keeper.claim()
    assert run.clearance() == []
    keeper.halt(scope)
    keeper.halt(OTHER)
    assert run.clearance() == run.halts() != []
    keeper.resume(scope)
    assert run.clearance() == []


def test_nobody_is_cleared_whose_event_was_removed_or_is_anothers(keeper: Keeper) -> None:
    run = keeper.claim()
    owner = keeper.take_over(run)
    with pytest.raises(LeaseLost):
        run.clearance()
    keeper.remove(owner)
    with pytest.raises(RemovalRequested):
        owner.clearance()


def test_nothing_is_intended_for_an_event_that_was_removed(keeper: Keeper) -> None:
    run = keeper.claim()
    keeper.remove(run)
    with pytest.raises(RemovalRequested):
        run.intend([an_order(run)])
    assert run.orders() == ()


def test_orders_without_a_word_halt_their_account_until_the_gateway_has_restarted(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    run.heard([status(ref(run), OrderStatus.PENDING_SUBMIT, confirmed=False, perm_id=0, unacknowledged=True)])
    assert run.unacknowledged() == [ref(run)]
    held = run.hold_unacknowledged([ref(run)])
    assert "BUY 10 SPY" in held.reason
    assert [halt.reason for halt in run.halts()] == [held.reason]
    run.release_unacknowledged(GATEWAY)
    assert run.unacknowledged(), "nothing has happened"
    keeper.gateway_restarts()
    run.release_unacknowledged("elsewhere:4001")
    assert run.unacknowledged(), "another gateway's restart"
    run.release_unacknowledged(GATEWAY)
    assert (run.unacknowledged(), run.halts()) == ([], [])


def test_an_order_that_is_listed_after_all_is_acknowledged(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    run.hold_unacknowledged([ref(run)])
    run.traced([ref(run)], {ref(run): trace(ref(run), OrderStatus.CANCELLED)}, now())
    run.release_unacknowledged(GATEWAY)
    assert (run.unacknowledged(), run.halts()) == ([], [])


def test_another_installation_halts_the_account_until_a_person_has_looked(keeper: Keeper) -> None:
    run = keeper.claim()
    held = run.hold_for_others(["0123456789ab-1-01-ffffffff"])
    assert "another installation trades" in held.reason
    run.release_unacknowledged(GATEWAY)
    assert [halt.reason for halt in run.halts()] == [held.reason]


# -- plans before a person ------------------------------------------------------------------------------------------


def test_a_plan_waits_for_a_person_and_is_used_once_approved(keeper: Keeper) -> None:
    run = keeper.claim()
    assert run.approval() is None
    run.ask(question())
    asked = run.approval()
    assert asked is not None
    assert (asked.state, asked.reasons, asked.orders) == (ApprovalState.PENDING, ("too large",), {"SPY": Decimal(1000)})
    keeper.approve(run)
    approved = run.approval()
    assert approved is not None
    assert approved.state is ApprovalState.APPROVED
    run.use(approved, "nobody objected")
    used = keeper.take_over(run).approval()
    assert used is not None
    assert (used.state, used.decided_by) == (ApprovalState.USED, "ada"), "who approved it stays on record"


def test_silence_is_noted_as_such(keeper: Keeper) -> None:
    run = keeper.claim()
    run.ask(question())
    asked = run.approval()
    assert asked is not None
    run.use(asked, "nobody objected")
    used = run.approval()
    assert used is not None
    assert used.decided_by == "nobody objected"


def test_a_newer_question_replaces_the_older_one(keeper: Keeper) -> None:
    run = keeper.claim()
    run.ask(question("first"))
    run.ask(question("second"))
    asked = run.approval()
    assert asked is not None
    assert (asked.reasons, asked.state) == (("second",), ApprovalState.PENDING)


def test_a_question_of_another_event_is_not_ours(keeper: Keeper) -> None:
    keeper.claim(OTHER).ask(question())
    assert keeper.claim().approval() is None


def test_what_the_household_has_traded_and_is_about_to_buy(keeper: Keeper) -> None:
    """The other account's plan buys GLD and sells TLT; of it nine SPY are executed, charged and booked."""
    planned = {"quantity": 5, "price": "20"}
    sides = [{"symbol": "TLT", "side": "SELL", **planned}, {"symbol": "GLD", "side": "BUY", **planned}]
    other = keeper.claim(OTHER)
    other.decided(INPUTS, {"orders": sides})
    other.intend([an_order(other)])
    told = replace(fill(ref(other), 9, 9), account_id=OTHER)
    other.heard([told, CommissionReport("e.01.01", Decimal(1), "USD", Decimal("-2.5"))])
    run = keeper.claim()
    known = run.household({"SPY", "GLD", "TLT"}, now() - LATELY)
    (trade,) = known.trades
    assert (trade.account_id, trade.side, trade.quantity, trade.commission) == (OTHER, Side.BUY, 9, 1)
    assert trade.realized == Decimal("-2.5")
    assert known.intentions == (Intention(OTHER, "GLD", 5),)
    assert other.household({"GLD"}, now() - LATELY).intentions == ()
    assert run.household({"TLT"}, now() - LATELY).trades == run.household({"SPY"}, now() + LATELY).trades == ()
    keeper.succeed(other)
    assert run.household({"GLD"}, now() - LATELY).intentions == ()
