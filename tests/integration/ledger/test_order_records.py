"""What becomes of an order's row, whatever the broker says, does not say, or says late."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from rebalancer.domain.claims import Claim
from rebalancer.domain.order_refs import OrderRef
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import OrderTrace
from rebalancer.ledger import (
    last_trading_run,
    orders,
    recovered_orders,
    sent_orders,
    unaccounted_orders,
    unacknowledged_orders,
)
from rebalancer.ledger.models import Attempt, Event, GatewayRow, Order, OrderReport
from rebalancer.ledger.session import Session
from tests.integration.ledger.one_order import (
    LATELY,
    LONG_AGO,
    NOW,
    QUANTITY,
    REF,
    fill,
    remarks,
    status,
    the_order,
    trace,
)

REFUSAL = replace(
    status(0, OrderStatus.INACTIVE), code=201, text="Order rejected - reason: no margin", confirmed=False, refused=True
)
SILENCE = replace(status(0, OrderStatus.PENDING_SUBMIT), perm_id=0, confirmed=False, unacknowledged=True)
IDLE = OrderTrace(REF, OrderStatus.INACTIVE, open=True, perm_id=99, fills=(), commissions=())


def unsettled(session: Session) -> list[str]:
    session.flush()
    return [one.order_ref for one in sent_orders.unresolved_orders(session, "DU1")]


def test_further_plans_of_an_attempt_stand_beside_its_first(session: Session, claim: Claim) -> None:
    orders.record_decision(session, claim, {"seen": 0}, {"orders": ["first"]})
    for number in (1, 2):
        orders.record_round(session, claim, f"why {number}", {"seen": number}, {"orders": [number]})
    session.flush()
    plan = session.scalars(select(Attempt.plan)).one()
    assert plan["orders"] == ["first"]
    assert plan["further_rounds"] == [
        {"why": f"why {number}", "inputs": {"seen": number}, "plan": {"orders": [number]}} for number in (1, 2)
    ]


def test_a_refused_order_is_settled_by_being_listed_idle_once(session: Session) -> None:
    orders.record_updates(session, [REFUSAL])
    assert the_order(session).status == orders.REFUSED
    for _ in range(2):
        orders.record_trace(session, IDLE)
        assert the_order(session).final_at is not None
    assert remarks(session) == [
        "Order rejected - reason: no margin",
        "refused, and listed as Inactive all the same",
    ]
    (reason,) = sent_orders.refused_orders(session, "DU1")
    assert (reason.order_ref, reason.code, reason.text) == (REF, 201, "Order rejected - reason: no margin")
    assert [one.order_ref for one in sent_orders.unexplained_orders(session, "DU1")] == [REF], "it is asked for again"


def test_a_refused_order_that_somebody_transmits_counts_again(session: Session) -> None:
    orders.record_updates(session, [REFUSAL])
    orders.record_trace(session, IDLE)
    orders.record_trace(session, replace(IDLE, status=OrderStatus.SUBMITTED))
    assert (the_order(session).status, unsettled(session)) == ("Submitted", [REF])


def test_a_refused_order_that_is_listed_nowhere_is_cancelled(session: Session) -> None:
    orders.record_updates(session, [REFUSAL])
    orders.record_missing(session, [REF], LATELY)
    assert (the_order(session).status, unsettled(session)) == ("Cancelled", [])
    assert remarks(session)[-1] == "refused, and in none of the broker's lists"


def test_an_order_that_nobody_ever_spoke_of_was_never_sent(session: Session) -> None:
    orders.record_missing(session, [REF], LATELY)
    assert (the_order(session).status, unsettled(session)) == (orders.NEVER_SENT, [])
    assert remarks(session) == ["in none of the broker's lists"]


@pytest.mark.parametrize("case", ["the broker has numbered it", "part of it has filled", "it is older than the lists"])
def test_lists_without_it_prove_nothing_where_it_may_have_been_carried_out(session: Session, case: str) -> None:
    since = LATELY
    match case:
        case "the broker has numbered it":
            orders.record_updates(session, [status(0, OrderStatus.SUBMITTED)])
        case "part of it has filled":
            orders.record_updates(session, [replace(status(98, OrderStatus.SUBMITTED), perm_id=0)])
        case _:
            since = NOW + timedelta(hours=1)
    orders.record_missing(session, [REF], since)
    assert (the_order(session).status, unsettled(session)) == (orders.UNLISTED, [])
    told = "the broker's lists prove nothing of it; positions and cash show what became of it"
    assert told in remarks(session)
    assert ("98 filled, execution of 98 not told" in remarks(session)) is (case == "part of it has filled")


@pytest.mark.parametrize("named", [OrderStatus.CANCELLED, OrderStatus.API_CANCELLED, OrderStatus.SUBMITTED])
def test_an_order_that_has_ended_needs_no_list(session: Session, named: OrderStatus) -> None:
    filled = QUANTITY if named is OrderStatus.SUBMITTED else 0
    orders.record_updates(session, [status(filled, named)])
    orders.record_missing(session, [REF], LATELY)
    session.expire_all()
    assert the_order(session).status == ("Filled" if filled else named)
    assert unsettled(session) == []


def test_a_status_that_the_library_inferred_changes_nothing(session: Session) -> None:
    orders.record_updates(session, [replace(status(0, OrderStatus.CANCELLED), confirmed=False, code=202)])
    assert (the_order(session).status, unsettled(session)) == (orders.PLANNED, [REF])


def test_an_order_that_was_found_after_all_is_settled_anew(session: Session) -> None:
    orders.record_missing(session, [REF], LATELY)
    found = trace(QUANTITY, fill(QUANTITY, QUANTITY), likely=True)
    for _ in range(2):
        orders.record_trace(session, found)
    assert (the_order(session).status, the_order(session).filled, unsettled(session)) == ("Filled", 198, [])
    said = "found in the broker's lists by symbol, side and quantity, so perhaps another's"
    assert remarks(session) == ["in none of the broker's lists", said]


def test_a_traced_order_that_is_open_is_not_settled_whatever_was_thought(session: Session) -> None:
    orders.finalize(session, [REF])
    orders.record_trace(session, replace(IDLE, status=OrderStatus.SUBMITTED))
    assert unsettled(session) == [REF]
    assert remarks(session) == ["found in the broker's lists"]


class TestSilence:
    def test_an_order_that_the_gateway_keeps_back_stays_until_somebody_settles_it(self, session: Session) -> None:
        orders.record_updates(session, [SILENCE])
        orders.record_missing(session, [REF], LATELY)
        assert (the_order(session).status, unsettled(session)) == (orders.UNACKNOWLEDGED, [REF])
        waiting = unacknowledged_orders.waiting(session, ["DU1"])
        assert [one.order_ref for one in waiting] == [REF]
        assert unacknowledged_orders.waiting(session, ["DU2"]) == []
        unacknowledged_orders.release(session, waiting, "Ada has looked")
        orders.record_missing(session, [REF], LATELY)
        assert (the_order(session).status, unsettled(session)) == (orders.RELEASED, [])
        assert remarks(session) == ["Ada has looked"]

    @pytest.mark.parametrize("looks", [0, 1, 2])
    def test_a_refusal_settles_it_whatever_the_lists_showed_before(self, session: Session, looks: int) -> None:
        """A click sends it, and it is listed for a moment; the word that the broker refuses it comes at any time."""
        orders.record_updates(session, [SILENCE])
        if looks:
            orders.record_trace(session, IDLE)
        if looks > 1:
            orders.record_missing(session, [REF], LONG_AGO)
            assert the_order(session).status == orders.UNLISTED
        unacknowledged_orders.refused(session, REF, 201, "no thanks")
        orders.record_missing(session, unsettled(session), LONG_AGO)
        assert (the_order(session).status, unsettled(session)) == (OrderStatus.CANCELLED, [])
        assert last_trading_run.last_run(session, "DU1", timedelta(minutes=5)) is None, "nothing is awaited of it"
        assert remarks(session).count("no thanks") == 1

    def test_a_refusal_of_what_filled_or_was_never_silent_changes_nothing(self, session: Session) -> None:
        unacknowledged_orders.refused(session, REF, 201, "no thanks")
        assert the_order(session).status == orders.PLANNED
        orders.record_updates(session, [SILENCE, status(QUANTITY)])
        session.flush()
        unacknowledged_orders.refused(session, REF, 201, "no thanks")
        assert the_order(session).status == OrderStatus.FILLED
        assert "no thanks" not in remarks(session)

    def test_only_a_gateway_that_was_away_since_has_forgotten_it(self, session: Session) -> None:
        orders.record_updates(session, [SILENCE])
        waiting = unacknowledged_orders.waiting(session, ["DU1"])

        def gone() -> list[Order]:
            return unacknowledged_orders.gone(session, waiting, "gateway:4001")

        assert gone() == [], "nobody has seen that gateway away"
        session.add(GatewayRow(address="gateway:4001", away_at=LATELY))
        session.flush()
        assert gone() == [], "it was away before"
        session.execute(update(GatewayRow).values(away_at=text("clock_timestamp() + interval '1 second'")))
        assert gone() == waiting
        assert unacknowledged_orders.gone(session, [], "gateway:4001") == []

    def test_an_order_of_a_worker_that_died_is_kept_back_by_the_gateway(self, session: Session) -> None:
        self.written_by_a_dead_worker(session)
        unacknowledged_orders.left_silent(session, [REF], LONG_AGO)
        assert the_order(session).status == orders.UNACKNOWLEDGED
        assert remarks(session) == ["its worker died, and the gateway has said nothing of it"]

    def test_but_not_if_its_connection_broke_or_it_is_older_than_the_lists(self, session: Session) -> None:
        self.written_by_a_dead_worker(session)
        unacknowledged_orders.left_silent(session, [REF], NOW + timedelta(hours=1))
        unacknowledged_orders.interrupted(session, [REF], "the connection has ended")
        session.flush()
        unacknowledged_orders.left_silent(session, [REF], LONG_AGO)
        assert the_order(session).status == orders.PLANNED
        assert session.scalars(select(OrderReport.status)).all() == [unacknowledged_orders.INTERRUPTED]

    def test_an_order_that_was_heard_of_is_not_interrupted(self, session: Session) -> None:
        orders.record_updates(session, [status(0, OrderStatus.SUBMITTED)])
        session.flush()
        unacknowledged_orders.interrupted(session, [REF], "the connection has ended")
        assert remarks(session) == []

    def written_by_a_dead_worker(self, session: Session) -> None:
        session.execute(update(Order).values(order_id=4))
        session.execute(update(Attempt).values(outcome="lost"))


def test_witnesses_are_the_newest_filled_orders_of_the_day(session: Session) -> None:
    assert sent_orders.witnesses(session, "DU1", LONG_AGO) == []
    assert sent_orders.any_unresolved(session)
    orders.record_updates(session, [status(QUANTITY)])
    orders.finalize(session, [REF])
    (witness,) = sent_orders.witnesses(session, "DU1", LONG_AGO)
    assert (witness.order_ref, witness.perm_id, witness.client_id, witness.quantity) == (REF, 99, 7, QUANTITY)
    assert sent_orders.witnesses(session, "DU1", NOW + timedelta(hours=1)) == []
    assert sent_orders.witnesses(session, "DU2", LONG_AGO) == []
    assert sent_orders.perm_ids(session) == {99}
    assert not sent_orders.any_unresolved(session)


def test_orders_of_an_ended_event_get_an_event_of_their_own_once(session: Session, claim: Claim) -> None:
    assert unaccounted_orders.adopt(session) == [], "its own event is under way"
    session.execute(update(Event).values(state="removed", lease_until=None, worker=None))
    (adopted,) = unaccounted_orders.adopt(session)
    made = session.get_one(Event, adopted)
    assert adopted != claim.event_id
    assert (made.account_id, made.strategy, made.remove_requested) == ("DU1", "blend", True)
    assert (made.state, made.reason) == ("queued", unaccounted_orders.REASON)
    assert unaccounted_orders.adopt(session) == [], "that one looks after them"


class TestRecovered:
    """Orders that the restored ledger does not know, as the broker tells of them."""

    def found(self, ref: str, **facts: Any) -> OrderTrace:
        one = replace(fill(10, 10, f"{ref}.01"), order_ref=ref, account_id="DU1", symbol="SPY")
        return replace(OrderTrace(ref, OrderStatus.FILLED, False, 55, (one,), (), Decimal(10)), **facts)

    def test_one_of_a_known_event_is_put_under_it(self, session: Session, claim: Claim) -> None:
        ref = str(OrderRef.of(claim.event_id, 3, 1, "0123abcd"))
        recovered_orders.record(session, claim, [self.found(ref)])
        order = session.get_one(Order, ref)
        assert (order.event_id, order.attempt, order.quantity, order.filled) == (claim.event_id, 3, 10, 10)
        assert (order.planned_price, order.status, order.perm_id) == (101, "Filled", 55)
        assert order.final_at is not None

    def test_one_whose_event_was_lost_gets_an_ended_place_holder(self, session: Session, claim: Claim) -> None:
        ref = str(OrderRef.of(UUID("12345678-9abc-4def-8000-000000000001"), 1, 2, "0123abcd"))
        recovered_orders.record(session, claim, [self.found(ref)])
        holder = session.get_one(Event, session.get_one(Order, ref).event_id)
        assert str(holder.id).startswith("12345678-9abc-0000")
        assert (holder.state, holder.account_id, holder.reason) == ("removed", "DU1", recovered_orders.REASON)
        assert holder.finished_at is not None

    def test_one_that_filled_nothing_is_no_order_of_ours_to_count(self, session: Session, claim: Claim) -> None:
        recovered_orders.record(session, claim, [self.found("whatever-1-01", fills=())])
        assert session.get(Order, "whatever-1-01") is None

    def test_a_ledger_that_was_never_restored_looks_for_nothing(self, session: Session) -> None:
        assert recovered_orders.restored_at(session) is None
