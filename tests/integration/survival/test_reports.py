"""What the broker says of orders may be missing, doubled, late or wrong; fills alone complete an order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import func, select

from rebalancer.ibkr.codes import CODES, Action
from rebalancer.ledger.models import FillRow, Order
from rebalancer.ledger.states import EventState
from sandbox.gateway.behaviour import Delivery
from sandbox.gateway.fault_settings import Faults
from sandbox.gateway.faults import FaultyBehaviour
from sandbox.gateway.messages import COMMISSION, EXECUTION
from sandbox.gateway.requests import PLACE_ORDER
from sandbox.gateway.wire import Message
from tests.integration.ibkr.serving import until
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import ACCOUNT, POSITION, Behind, Bench, ends_on_target

STATUS, OPEN_ORDER, POSITIONS_END = 3, 5, 72


@pytest.mark.parametrize("silent", [[STATUS], [STATUS, OPEN_ORDER]], ids=["no status", "neither status nor order"])
def test_f09_executions_complete_an_order_without_any_status(here: Bench, silent: list[int]) -> None:
    here.fault(dropped_messages=silent)
    ends_on_target(here, 1)
    with here.ledger.begin() as session:
        assert set(session.scalars(select(Order.status))) == {"Filled"}


def test_f10_reports_that_come_twice_count_once(here: Bench) -> None:
    here.fault(duplicated_messages=[STATUS, OPEN_ORDER, EXECUTION, COMMISSION])
    ends_on_target(here, 1)


def test_f10_a_commission_in_another_currency_is_no_dollars(benches: MakeBench) -> None:
    """It is on record as told, and no cash in dollars is expected to be less by it."""

    class Euros(FaultyBehaviour):
        def outgoing(self, client_id: int, message: Message) -> Sequence[Delivery]:
            if message[0] == COMMISSION:
                message = (*message[:3], 250, "EUR", *message[5:])
            return super().outgoing(client_id, message)

    with benches(Euros(Faults())) as here:
        here.aim()
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert here.positions == here.wanted
        with here.ledger.begin() as session:
            told = session.execute(select(FillRow.commission, FillRow.currency))
            assert {tuple(row) for row in told} == {(250, "EUR")}


@pytest.mark.parametrize("late", [STATUS, OPEN_ORDER, EXECUTION, COMMISSION])
def test_f10_reports_that_overtake_each_other_change_nothing(here: Bench, late: int) -> None:
    here.fault(delayed_ms={late: 120})
    ends_on_target(here, 1)


def test_f10_a_commission_that_is_never_told_is_asked_for_and_no_reason_to_fail(here: Bench) -> None:
    here.patience(commission_grace_s=0.05)
    here.fault(commission="-1")
    outcome = here.rebalance()
    assert outcome.state is EventState.SUCCEEDED, outcome
    assert here.positions == here.wanted
    assert _unpaid(here) == len(here.refs)
    here.fault()
    here.rebalance()
    assert _unpaid(here) == 0, "the next run asks again"
    here.prove_books()


def _unpaid(here: Bench) -> int:
    with here.ledger.begin() as session:
        return session.scalar(select(func.count()).where(FillRow.commission.is_(None))) or 0


@pytest.mark.parametrize("code", [10349, 399, 404, 10318])
def test_f11_a_remark_about_a_living_order_is_never_its_end(here: Bench, code: int) -> None:
    here.fault(order_notices=[{"code": code, "text": "a remark"}])
    ends_on_target(here, 1)
    assert code in here.codes()


def test_f11_no_code_that_does_not_refuse_ends_a_living_order(benches: MakeBench) -> None:
    """Every such code of the table, and unknown ones, about every order while it works."""
    of_the_connection = {326, 1100, 1101, 1102, 1300, 2110}
    spoken = [
        code
        for code, known in sorted(CODES.items())
        if not known.permanent and Action.HALT not in known.actions and code not in of_the_connection
    ]
    with benches(fills={"mode": "delayed", "delay_ms": 300}) as here:
        here.aim()
        here.fault(order_notices=[{"code": code, "text": "a remark"} for code in [*spoken, 2177, 99999]])
        ends_on_target(here, 1)
        assert here.codes() >= {*spoken, 2177, 99999}


def test_f17_a_plan_waits_until_the_books_show_the_fills(here: Bench) -> None:
    """Positions are pushed late: planning from them would sell and buy everything a second time."""
    here.fault(delayed_ms={POSITION: 60, POSITIONS_END: 60})
    ends_on_target(here, 2)


def test_f17_books_that_stay_behind_stop_the_run_before_it_trades_twice(benches: MakeBench) -> None:
    behind = Behind()
    with benches(behind) as here:
        here.aim()
        here.patience(books_timeout_s=0.3)
        behind.frozen = True
        event_id = here.request()
        outcome = here.attempt(event_id)
        assert "does not show our fills yet" in outcome.error
        sells = here.refs
        assert "does not show our fills yet" in here.attempt(event_id).error
        assert here.refs == sells
        behind.frozen = False
        here.finish(event_id)
        assert here.positions == here.wanted
        here.prove_books()


def test_f18_a_correction_replaces_the_execution_that_it_corrects(here: Bench) -> None:
    here.fault(corrected_executions=True)
    outcome = here.rebalance()
    assert outcome.state is EventState.SUCCEEDED, outcome
    assert here.positions == here.wanted

    def recorded() -> list[FillRow]:
        with here.ledger.begin() as session:
            return list(session.scalars(select(FillRow)))

    until(lambda: {fill.revision for fill in recorded()} == {2})  # the last one may come after the run's end
    fills = recorded()
    done = here.served.do(lambda gateway: gateway.executions)
    assert sorted(fill.price for fill in fills) == sorted(one.price for one in done)
    here.prove_books()
    assert sum(fill.commission or 0 for fill in fills) == sum(one.commission for one in done)


def test_f22_an_inactive_order_that_revives_is_followed_to_its_fill(here: Bench) -> None:
    here.fault(inactive={"GLD": {"for_ms": 150}, "IWM": {"for_ms": 150}})
    ends_on_target(here, 1)


def test_f22_an_inactive_order_that_does_not_revive_is_cancelled_and_planned_again(here: Bench) -> None:
    here.settings["order_timeout_s"] = 0.4
    here.fault(inactive={"GLD": {"for_ms": 60_000}})
    event_id = here.request()
    outcome = here.attempt(event_id)
    assert "OrdersUnfilled" in outcome.error
    assert here.served.do(lambda gateway: gateway.exchange.book.open_orders(ACCOUNT)) == []
    here.fault()
    here.finish(event_id)
    assert here.positions == here.wanted
    here.prove_books()


def test_f23_a_what_if_that_is_answered_without_margins_first_holds_nothing_up(here: Bench) -> None:
    here.settings["what_if"] = "always"
    here.fault(what_if_late=True)
    ends_on_target(here, 1)
    asked = here.served.do(lambda gateway: gateway.message_counts[PLACE_ORDER])
    assert asked == len(here.refs) + 2, "the two sells were asked about"


def test_f23_a_what_if_that_is_never_answered_stops_nothing(benches: MakeBench) -> None:
    class Deaf(FaultyBehaviour):
        """Says nothing of an order that is only asked about."""

        def outgoing(self, client_id: int, message: Message) -> Sequence[Delivery]:
            what_if = message[0] == OPEN_ORDER and "what-if" in str(message)
            return () if what_if else super().outgoing(client_id, message)

    with benches(Deaf(Faults())) as here:
        here.aim()
        here.settings |= {"what_if": "always", "what_if_timeout_s": 0.2}
        ends_on_target(here, 1)
