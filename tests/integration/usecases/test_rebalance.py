"""What a rebalance does, and above all what it does not: each test breaks with the rule that its name states."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

import pytest

from rebalancer.domain.errors import (
    LeaseLost,
    OrderRejected,
    OrdersUnfilled,
    RecordUnavailable,
    Refused,
    RemovalRequested,
)
from rebalancer.domain.outcomes import FOREVER
from rebalancer.domain.portfolio import ProposedOrder, Side
from rebalancer.domain.rule_names import Rule
from rebalancer.usecases import Blocked, print_rebalance, rebalance
from sandbox.gateway.checks import Refusal
from sandbox.gateway.exchange_events import Order
from tests import memory_record
from tests.integration.ibkr.serving import Script, order, until
from tests.integration.usecases.conftest import ACCOUNT, HOLDINGS, Desk, desk

SLOW = {"*": {"mode": "delayed", "delay_ms": 30_000}}


def blocked(outcome: object) -> Blocked:
    assert isinstance(outcome, Blocked), outcome
    return outcome


def on_record(here: Desk) -> None:
    """Every order that reached the broker was intended, and has come to its end on record."""
    assert set(here.refs) <= here.ledger.orders.keys()
    assert here.open_refs == []
    assert [ref for ref, order in here.ledger.orders.items() if order.final_at is None] == []


# -- trades -----------------------------------------------------------------------------------------------------------


def test_the_account_ends_on_its_targets_and_everything_is_on_record(here: Desk) -> None:
    run = here.claim()
    preview = print_rebalance(here.context(memory_record.claim(here.ledger)))
    wanted = dict(HOLDINGS)
    for one in preview["orders"]:
        signed = one["quantity"] if one["action"] == "BUY" else -one["quantity"]
        wanted[one["symbol"]] = wanted.get(one["symbol"], 0) + signed
    result = rebalance(here.context(run))
    assert isinstance(result, dict)
    assert result["status"] == "success"
    assert here.positions == {symbol: shares for symbol, shares in wanted.items() if shares}
    assert set(here.statuses().values()) == {"Filled"}
    on_record(here)
    assert [one.moment for one in here.ledger.snapshots if one.attempt == (run.claim.event_id, 1)] == [
        "before",
        "after",
    ]


def test_an_account_on_its_targets_is_left_alone(here: Desk) -> None:
    rebalance(here.context(here.claim()))
    sent = here.refs
    assert sent
    rebalance(here.context(here.claim()))
    assert here.refs == sent


def test_a_preview_shows_the_plan_and_sends_nothing(here: Desk) -> None:
    run = here.claim()
    result = print_rebalance(here.context(run))
    assert len(result["orders"]) == 6
    assert here.refs == []
    assert here.ledger.orders == {}
    assert here.ledger.plans[run.claim.event_id, 1]["orders"]


class Watching(Script):
    """A broker at whose door something happens with each order that comes."""

    def __init__(self) -> None:
        super().__init__()
        self.at_each: Callable[[str], object] = str

    def refusal(self, order: Order) -> Refusal | None:
        self.at_each(order.ticket.order_ref)
        return super().refusal(order)


def test_every_order_is_on_record_before_it_reaches_the_broker() -> None:
    watching = Watching()
    with desk(behaviour=watching) as here:
        known: list[bool] = []
        watching.at_each = lambda ref: known.append(ref in here.ledger.orders)
        rebalance(here.context(here.claim()))
        assert known == [True] * 6


def test_orders_that_a_dead_run_left_are_ended_before_anything_is_planned(here: Desk) -> None:
    here.fault(fills=SLOW)
    dead = here.claim()
    request = order(f"{dead.claim.event_id.hex[:12]}-1-01-{dead.installation()}")
    dead.intend([(ProposedOrder("SPY", Side.BUY, 10, Decimal(100), Decimal(1), "a test"), request)])
    sending = here.broker.execute([request], 30, dead.checkpoint, dead.fence)
    dead.heard(next(sending))
    until(lambda: here.open_refs == [request.order_ref])
    del sending  # nobody watches it any more
    here.fault()
    rebalance(here.context(memory_record.take_over(here.ledger, dead)))
    assert here.statuses()[request.order_ref] == "Cancelled"
    assert here.positions.keys() == {"SPY", "VXX", "GLD", "TLT", "QQQ"}
    on_record(here)


def test_what_filled_while_nobody_watched_is_accounted_for_and_not_bought_again(here: Desk) -> None:
    dead = here.claim()
    request = order(f"{dead.claim.event_id.hex[:12]}-1-01-{dead.installation()}", "GLD", quantity=150)
    dead.intend([(ProposedOrder("GLD", Side.BUY, 150, Decimal(100), Decimal(1), "a test"), request)])
    list(here.broker.execute([request], 30, dead.checkpoint, dead.fence))
    assert here.statuses() == {request.order_ref: "Planned"}
    rebalance(here.context(memory_record.take_over(here.ledger, dead)))
    assert here.ledger.orders[request.order_ref].progress.told == 150
    assert here.positions["GLD"] < 200
    on_record(here)


# -- refuses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [ACCOUNT, "all"])
def test_a_halted_account_is_not_traded(here: Desk, scope: str) -> None:
    here.ledger.halt(scope)
    outcome = blocked(rebalance(here.context(here.claim())))
    assert outcome.rule is Rule.HALT
    assert here.refs == []


def test_a_run_that_was_taken_over_before_its_first_step_sends_nothing(here: Desk) -> None:
    run = here.claim()
    memory_record.take_over(here.ledger, run)
    with pytest.raises(LeaseLost):
        rebalance(here.context(run))
    assert here.refs == []
    assert here.ledger.plans == {}


def test_a_plan_beyond_the_limits_waits_for_a_person_and_nothing_is_sent(here: Desk) -> None:
    here.settings["max_order_usd"] = 1000
    run = here.claim()
    outcome = blocked(rebalance(here.context(run)))
    assert outcome.rule is Rule.APPROVAL
    asked = run.approval()
    assert asked is not None
    assert asked.plan == here.ledger.plans[run.claim.event_id, 1]
    assert here.refs == []


def test_targets_that_justify_no_order_are_refused_before_the_first_one(here: Desk) -> None:
    here.targets.weights = {"SPY": "0.3"}
    with pytest.raises(Refused) as refusal:
        rebalance(here.context(here.claim()))
    assert refusal.value.rule is Rule.ALLOCATIONS_SUM
    assert here.refs == []


def test_another_installations_orders_halt_the_account(here: Desk) -> None:
    rebalance(here.context(here.claim()))
    here.ledger.orders.clear()  # as a copy of this ledger of before would see it
    sent = here.refs
    here.targets.weights |= {"SPY": "0.193", "QQQ": "0.251"}
    outcome = blocked(rebalance(here.context(here.claim())))
    assert "another installation trades" in outcome.reason
    assert here.ledger.halted.keys() == {ACCOUNT}
    assert here.refs == sent


# -- stops in the midst -----------------------------------------------------------------------------------------------


def test_a_halt_in_the_midst_lets_the_orders_under_way_end_and_sends_no_other(here: Desk) -> None:
    here.fault(fills={"*": {"mode": "delayed", "delay_ms": 400}})
    with here.amid_orders(lambda: here.ledger.halt(ACCOUNT)):
        outcome = blocked(rebalance(here.context(here.claim())))
    assert outcome.rule is Rule.HALT
    assert {order.request.side for order in here.ledger.orders.values() if order.status != "NeverSent"} == {"SELL"}
    on_record(here)


def test_a_removal_in_the_midst_leaves_nothing_open(here: Desk) -> None:
    here.fault(fills={"*": {"mode": "delayed", "delay_ms": 400}})
    run = here.claim()
    with here.amid_orders(lambda: here.ledger.remove(run)), pytest.raises(RemovalRequested):
        rebalance(here.context(run))
    assert len(here.refs) == 2, "the sells"
    on_record(here)


def test_a_run_that_is_taken_over_in_the_midst_cancels_what_it_sent_and_says_nothing_more(here: Desk) -> None:
    here.fault(fills=SLOW)
    run = here.claim()
    at_that_moment: dict[str, str] = {}

    def take_over() -> None:
        memory_record.take_over(here.ledger, run)
        at_that_moment.update(here.statuses())

    with here.amid_orders(take_over, 2), pytest.raises(LeaseLost):
        rebalance(here.context(run))
    assert here.open_refs == []
    assert here.statuses() == at_that_moment


def test_what_cannot_go_on_record_is_cancelled(here: Desk) -> None:
    """Its time has run out, which is the first that the run would have to put on record since the ledger went away."""
    here.fault(fills=SLOW)

    def go_away() -> None:
        here.ledger.away = True

    with here.amid_orders(go_away, 2), pytest.raises(RecordUnavailable):
        rebalance(here.context(here.claim()))
    assert len(here.refs) == 2
    assert here.open_refs == []


@pytest.mark.parametrize("what", ["removed", "halted", "taken over"])
def test_between_two_orders_of_a_batch_everything_is_asked_again(what: str) -> None:
    watching = Watching()
    with desk(behaviour=watching) as here:
        run = here.claim()
        happens: dict[str, Callable[[str], object]] = {
            "removed": lambda _ref: here.ledger.remove(run),
            "halted": lambda _ref: here.ledger.halt(ACCOUNT),
            "taken over": lambda _ref: here.ledger.owners.update({run.claim.event_id: 2}),
        }
        watching.at_each = happens[what]
        with suppress(RemovalRequested, LeaseLost):
            blocked(rebalance(here.context(run)))
        assert len(here.refs) == 1
        assert here.open_refs == []


# -- orders that do not do as planned ---------------------------------------------------------------------------------


def test_a_refused_order_is_told_with_its_code_after_all_others_are_done(here: Desk) -> None:
    here.fault(rejections={"GLD": {"code": 201, "text": "no thanks"}})
    with pytest.raises(OrderRejected) as refusal:
        rebalance(here.context(here.claim()))
    assert (refusal.value.code, refusal.value.text) == (201, "no thanks")
    assert len(here.refs) == 6, "no second try"
    assert "GLD" not in here.positions
    on_record(here)


def test_what_never_fills_is_cancelled_in_every_round_and_told(here: Desk) -> None:
    here.settings |= {"order_timeout_s": 0.3, "order_rounds": 2}
    here.fault(fills={"GLD": {"mode": "never"}})
    run = here.claim()
    with pytest.raises(OrdersUnfilled):
        rebalance(here.context(run))
    symbols = [order.request.symbol for order in here.ledger.orders.values()]
    assert symbols.count("GLD") == 2
    assert len(here.ledger.rounds[run.claim.event_id, 1]) == 1
    on_record(here)


def test_an_order_without_a_word_halts_the_account_and_nothing_else_is_sent(here: Desk) -> None:
    here.fault(swallowed_orders={"*": {"times": 1}})
    outcome = blocked(rebalance(here.context(here.claim())))
    assert outcome.rule is Rule.HALT
    assert outcome.until < FOREVER, "it looks again by itself"
    assert list(here.statuses().values()).count("Unacknowledged") == 1
    assert here.open_refs == []
    sent = here.refs
    blocked(rebalance(here.context(here.claim())))
    assert here.refs == sent
