"""The contract of a run's record: what it knows of the account and of other installations."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rebalancer.domain.account_history import LastTrade, Seen, Strangers, Traded
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.portfolio import Position, Side
from tests.integration.ledger.record_keepers import (
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
    ref,
    snapshot,
    status,
    trace,
    traded,
)

# -- what is known of the account -----------------------------------------------------------------------------------


def test_what_was_traded_counts_at_the_price_of_its_fills(keeper: Keeper) -> None:
    run = traded(keeper)
    assert run.traded_since(now() - LATELY) == Traded(1, Decimal(1010))
    assert run.traded_since(now() + LATELY) == Traded()
    assert run.ever_traded()


def test_shares_that_are_only_stated_count_at_the_planned_price(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    run.heard([status(ref(run), OrderStatus.FILLED, 10), fill(ref(run), 4, 4)])
    assert run.traded_since(now() - LATELY) == Traded(1, 4 * Decimal(101) + 6 * Decimal(100))


def test_other_accounts_count_with_what_their_plans_still_lack(keeper: Keeper) -> None:
    other, run = keeper.claim(OTHER), keeper.claim()
    other.decided(INPUTS, PLAN)
    run.decided(INPUTS, PLAN)
    assert run.traded_everywhere_since(now() - LATELY) == Traded(2, Decimal(1100)), "its own plan is compared anyway"
    other.intend([an_order(other)])
    other.heard([fill(ref(other), 10, 10)])
    assert run.traded_everywhere_since(now() - LATELY) == Traded(2, Decimal(1010) + Decimal(90))
    assert run.traded_since(now() - LATELY) == Traded()


def test_a_run_that_is_tried_again_may_finish_what_it_began(keeper: Keeper) -> None:
    run = traded(keeper)
    assert run.last_rebalance() is None
    assert keeper.take_over(run).last_rebalance() is None


def test_another_rebalance_of_the_account_was_its_last(keeper: Keeper) -> None:
    before = now()
    first = traded(keeper)
    keeper.succeed(first)
    last = keeper.claim().last_rebalance()
    assert last is not None
    assert before <= last <= now()
    assert keeper.claim(OTHER).last_rebalance() is None


def test_cash_by_a_day_is_known_before_it_is_raised_and_of_that_account_alone(keeper: Keeper) -> None:
    run = keeper.claim()
    assert not run.cash_planned()
    keeper.plan_cash(run)
    assert run.cash_planned()
    assert not keeper.claim(OTHER).cash_planned()


def test_the_newest_run_that_traded_is_known_with_its_fills(keeper: Keeper) -> None:
    run = traded(keeper)
    last = run.last_run(LATELY)
    assert last is not None
    assert last.snapshot.cash == 5000
    assert last.snapshot.positions == (Position("SPY", Decimal(100)),)
    [told] = last.fills
    assert (told.symbol, told.side, told.quantity, told.price) == ("SPY", Side.BUY, 10, 101)
    assert (told.contract_id, told.stated_only) == (1001, False)
    assert last.commissions == {told.execution_id: Decimal(1)}
    assert run.last_run(timedelta()) is None, "it is too old"


def test_what_a_run_left_alone_at_first_and_traded_later_was_held_before(keeper: Keeper) -> None:
    """Its price came between two rounds; the option, which nobody trades, is none of it. Chaos, seed 278."""
    run = keeper.claim()
    unquoted = [{"symbol": "SPY", "quantity": "100", "price": None, "contract_id": 1001}, POSITIONS[1]]
    run.decided(INPUTS, PLAN, (snapshot(run), unquoted))
    run.intend([an_order(run)])
    run.heard([fill(ref(run), 10, 10), status(ref(run), OrderStatus.FILLED, 10)])
    last = run.last_run(LATELY)
    assert last is not None
    assert last.snapshot.positions == (Position("SPY", Decimal(100)),)


def test_what_other_runs_had_filled_just_before_is_known(keeper: Keeper) -> None:
    first = traded(keeper)
    before = first.last_run(LATELY)
    assert before is not None
    assert before.turnover_before == 0
    keeper.succeed(first)
    run = keeper.claim()
    run.observed("before", snapshot(run), POSITIONS)
    run.intend([an_order(run)])
    run.heard([status(ref(run), OrderStatus.FILLED, 10)])
    last = run.last_run(LATELY)
    assert last is not None
    assert (last.turnover_before, [one.stated_only for one in last.fills]) == (1010, [True])


def test_a_run_that_sent_nothing_is_not_the_last_one(keeper: Keeper) -> None:
    run = keeper.claim()
    run.observed("before", snapshot(run), POSITIONS)
    assert run.last_run(LATELY) is None


def test_what_may_have_filled_is_among_the_fills(keeper: Keeper) -> None:
    run = keeper.claim()
    run.observed("before", snapshot(run), POSITIONS)
    run.intend([an_order(run)])
    run.heard([status(ref(run), OrderStatus.SUBMITTED)])
    run.traced([ref(run)], {}, now() - LATELY)
    last = run.last_run(LATELY)
    assert last is not None
    assert [(one.quantity, one.price, one.stated_only) for one in last.fills] == [(10, 100, True)]


def test_the_account_is_compared_with_what_was_seen_and_bought_since(keeper: Keeper) -> None:
    run = traded(keeper)
    seen = run.seen(LATELY)
    holdings = {"SPY": (Decimal(110), Decimal(100))}
    assert seen == Seen(holdings, Decimal(4000), Decimal(400), {"SPY 260116C": Decimal(2)})
    assert run.seen(timedelta()) is None


@pytest.mark.parametrize("ahead", [timedelta(seconds=-20), timedelta(0), timedelta(seconds=20)], ids=str)
def test_what_was_bought_before_a_snapshot_counts_once_whatever_the_workers_clock_says(
    keeper: Keeper, ahead: timedelta
) -> None:
    """A snapshot has the worker's time, an order the ledger's: with the worker's clock behind, a run's own fills came
    after its last snapshot, and the next run took that for half a split.
    """
    run = traded(keeper)
    run.observed("after", replace(snapshot(run), at=now() + ahead), POSITIONS)
    seen = run.seen(LATELY)
    assert seen is not None
    assert seen.holdings == {"SPY": (Decimal(100), Decimal(100))}
    assert seen.cash == 5000


def test_what_was_traded_last_is_known_with_its_targets(keeper: Keeper) -> None:
    run = keeper.claim()
    run.decided(INPUTS, PLAN)
    assert run.last_trade() is None, "nothing was sent"
    run.intend([an_order(run)])
    assert run.last_trade() == LastTrade("blend", GATEWAY, "abc", 2, frozenset({"SPY", "GLD"}))


def test_the_last_targets_are_those_of_the_last_success_by_strategy(keeper: Keeper) -> None:
    run = keeper.claim()
    run.decided(INPUTS, PLAN)
    assert run.last_targets() == (), "it has not succeeded yet"
    keeper.succeed(run)
    after = keeper.claim()
    (whole,) = after.last_targets()
    assert (whole.strategy, whole.share) == ("blend", 1)
    assert {entry.symbol: str(entry.weight) for entry in whole.weights} == INPUTS["targets"]["weights"]

    one = {"weights": {"SPY": "1"}, "as_of": "2026-11-23", "last_rebalance_on": None, "frozen": None}
    members = {"b": {**one, "share": "0.4"}, "a": {**one, "share": "0.6", "as_of": None}}
    after.decided({**INPUTS, "targets": {**INPUTS["targets"], "members": members}}, PLAN)
    keeper.succeed(after)
    known = keeper.claim().last_targets()
    assert [(part.strategy, str(part.share), str(part.as_of)) for part in known] == [
        ("a", "0.6", "None"),
        ("b", "0.4", "2026-11-23"),
    ]
    assert keeper.claim(OTHER).last_targets() == ()


# -- other installations --------------------------------------------------------------------------------------------

FOREIGN = "0123456789ab-1-01-ffffffff"


def test_orders_of_our_form_that_are_not_on_record_are_strangers(keeper: Keeper) -> None:
    run = keeper.claim()
    run.intend([an_order(run)])
    seen = {ref(run): None, FOREIGN: now(), "by hand": now(), "": None}
    assert run.strangers(seen) == Strangers(frozenset(), frozenset({FOREIGN}))


def test_our_own_orders_of_before_a_restore_are_lost_and_can_be_recovered(keeper: Keeper) -> None:
    earlier = keeper.claim()
    lost, before = f"0123456789ab-1-01-{earlier.installation()}", now()
    keeper.restore()
    run = keeper.take_over(earlier)
    assert run.installation() not in lost
    seen = {lost: before, FOREIGN: before}
    assert run.strangers(seen) == Strangers(frozenset({lost}), frozenset({FOREIGN}))
    run.recover([trace(lost, OrderStatus.FILLED, replace(fill(lost, 10, 10), at=before))])
    assert run.strangers(seen) == Strangers(frozenset(), frozenset({FOREIGN}))
    assert run.ever_traded()
    assert run.unresolved() == []


def test_what_was_executed_since_the_restore_is_another_installations(keeper: Keeper) -> None:
    earlier = keeper.claim()
    copy = f"0123456789ab-1-01-{earlier.installation()}"
    keeper.restore()
    assert keeper.take_over(earlier).strangers({copy: now() + LATELY}).others == {copy}
