"""Orders that the broker refuses and keeps in a list, with a cancel that works, is refused, or is not answered."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import select

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import Order, OrderReport
from rebalancer.ledger.states import EventState
from rebalancer.usecases import print_rebalance
from tests.integration.ibkr.serving import until
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import Bench

MARGIN = (
    "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. YOUR EQUITY WITH LOAN VALUE MUST EXCEED THE INITIAL MARGIN"
)
LISTED: dict[str, Any] = {"code": 201, "text": MARGIN, "times": 1, "stays": "listed"}
UNANSWERED: dict[str, dict[str, Any]] = {
    "silence": {"ignored_cancels": ["QQQ"]},
    "161": {"cancel_refusals": {"QQQ": {"code": 161, "text": "not in a cancellable state"}}},
    "10147": {"cancel_refusals": {"QQQ": {"code": 10147, "text": "is not found"}}},
}
PATIENT_S = 60
"""Of orders, far beyond what any test here takes: nothing may wait for it."""


def refusing(benches: MakeBench, rejection: dict[str, Any], **faults: Any) -> Any:
    return benches(faults={"rejections": {"QQQ": rejection}, **faults})


def sent(here: Bench, symbol: str = "QQQ") -> int:
    return here.served.do(lambda gateway: sum(one.symbol == symbol for one in gateway.orders))


def statuses(here: Bench) -> list[str]:
    with here.ledger.begin() as session:
        return list(session.scalars(select(Order.status).where(Order.symbol == "QQQ").order_by(Order.created_at)))


def is_refused(here: Bench, event: Any) -> None:
    """The attempt ends soon, with the reason, and everything else is done."""
    begun = time.monotonic()
    first = here.attempt(event)
    assert time.monotonic() - begun < PATIENT_S / 3, "the run waited for an order that is dead"
    assert first.state is EventState.RETRYING
    assert "201: Order rejected" in first.error
    assert here.positions == {symbol: shares for symbol, shares in here.wanted.items() if symbol != "QQQ"}
    assert sent(here) == 1


@pytest.mark.parametrize(
    ("stays", "cancel"), [(None, {}), ("completed", {}), ("listed", {}), (None, UNANSWERED["silence"])]
)
def test_f12_a_refused_order_ends_wherever_it_is_listed(
    benches: MakeBench, stays: str | None, cancel: dict[str, Any]
) -> None:
    with refusing(benches, {**LISTED, "stays": stays}, **cancel) as here:
        here.settings["order_timeout_s"] = PATIENT_S
        here.aim()
        is_refused(here, event := here.request())
        assert statuses(here) == ["Cancelled"]
        here.finish(event, attempts=1)
        assert here.positions == here.wanted
        here.prove_books()


@pytest.mark.parametrize("cancel", ["161", "10147"])
def test_f14_a_cancel_that_is_refused_needs_no_further_waiting(benches: MakeBench, cancel: str) -> None:
    with refusing(benches, LISTED, **UNANSWERED[cancel]) as here:
        here.patience(ack_timeout_s=PATIENT_S)
        here.settings["order_timeout_s"] = PATIENT_S
        here.aim()
        is_refused(here, here.request())
        assert statuses(here) == ["Refused"]


@pytest.mark.parametrize("cancel", UNANSWERED)
def test_f14_a_refused_order_that_stays_listed_stops_its_symbol_alone(benches: MakeBench, cancel: str) -> None:
    with refusing(benches, LISTED, **UNANSWERED[cancel]) as here:
        here.settings["order_timeout_s"] = PATIENT_S
        here.aim()
        is_refused(here, event := here.request())
        assert statuses(here) == ["Refused"]
        again = here.attempt(event)
        assert (again.state, sent(here)) == (EventState.RETRYING, 1), "while it is listed, no other is sent"
        assert "201: Order rejected" in again.error
        preview = here.attempt(here.request(Command.PRINT_REBALANCE), print_rebalance)
        assert preview.result is not None
        [said] = [rule["reason"] for rule in preview.result["rules"] if rule["rule"] == "left_alone"]
        assert said.startswith("QQQ: ")
        assert said.endswith("it is still listed as Inactive")
        here.fault()
        here.finish(event, attempts=1)
        assert statuses(here) == ["Cancelled", "Filled"]
        assert here.positions == here.wanted
        here.prove_books()


def test_f14_the_rest_of_the_account_goes_on_beside_a_refused_order(benches: MakeBench) -> None:
    """New targets meanwhile: everything else follows them."""
    with refusing(benches, LISTED, **UNANSWERED["silence"]) as here:
        here.aim()
        is_refused(here, event := here.request())
        with here.targets({"SPY": 0.3, "TLT": 0.3, "QQQ": 0.39}):
            assert here.attempt(event).state is EventState.RETRYING
        assert here.positions.keys() == {"SPY", "TLT"}
        assert sent(here) == 1


def test_f14_a_refused_order_that_comes_alive_counts_and_is_not_bought_twice(benches: MakeBench) -> None:
    """Somebody transmits it on the gateway's screen after the run."""
    with refusing(benches, LISTED, **UNANSWERED["silence"]) as here:
        here.aim()
        is_refused(here, event := here.request())
        here.served.do(lambda gateway: gateway.exchange.transmit_again("QQQ"))
        until(lambda: "QQQ" in here.positions)
        here.finish(event, attempts=1)
        assert (sent(here), statuses(here)) == (1, ["Filled"])
        assert here.positions == here.wanted
        here.prove_books()


def test_f14_a_refused_order_that_comes_alive_and_works_is_cancelled_first(benches: MakeBench) -> None:
    faults = {"fills": {"QQQ": {"mode": "never"}}, **UNANSWERED["silence"]}
    with refusing(benches, LISTED, **faults) as here:
        here.aim()
        is_refused(here, event := here.request())
        here.served.do(lambda gateway: gateway.exchange.transmit_again("QQQ"))
        here.fault()
        here.finish(event, attempts=1)
        assert statuses(here) == ["Cancelled", "Filled"]
        assert here.positions == here.wanted
        here.prove_books()


def test_f14_a_run_that_never_looked_finds_the_refused_order_dead(benches: MakeBench) -> None:
    """As after a lost connection: the order is looked up by another path, and does not stop the account either."""
    with refusing(benches, LISTED, **UNANSWERED["silence"]) as here:
        here.patience(verify_after_s=PATIENT_S, ack_timeout_s=PATIENT_S)
        here.aim()
        begun = time.monotonic()
        first = here.attempt(event := here.request())
        assert time.monotonic() - begun < PATIENT_S / 2
        assert first.state is EventState.RETRYING
        assert (statuses(here), sent(here)) == (["Refused"], 1)
        assert "201: Order rejected" in first.error
        here.fault()
        here.finish(event)
        assert here.positions == here.wanted
        here.prove_books()


def test_f22_an_order_that_is_inactive_without_any_error_is_cancelled_when_its_time_is_up(benches: MakeBench) -> None:
    with refusing(benches, {**LISTED, "told": False}) as here:
        here.aim()
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome.error
        assert statuses(here) == ["Cancelled", "Filled"]
        assert here.positions == here.wanted
        here.prove_books()


def test_f22_an_inactive_order_that_nobody_refused_may_still_fill_and_stops_the_account(benches: MakeBench) -> None:
    """Its cancel is not answered: nothing is planned beside it, and the reason is on record."""
    with refusing(benches, {**LISTED, "told": False}, **UNANSWERED["silence"]) as here:
        here.patience(cancel_timeout_s=0.5)
        here.aim()
        event = here.request()
        for _ in range(2):
            outcome = here.attempt(event)
            assert outcome.state is EventState.RETRYING
            assert "still open 0.5 s after the cancel" in outcome.error
            assert "QQQ (Inactive" in outcome.error
        assert sent(here) == 1
        here.fault()
        here.finish(event)
        assert here.positions == here.wanted
        here.prove_books()


def test_f12_the_reason_of_a_refusal_stays_on_record(benches: MakeBench) -> None:
    with refusing(benches, LISTED, **UNANSWERED["161"]) as here:
        here.patience(ack_timeout_s=PATIENT_S)
        here.settings["order_timeout_s"] = PATIENT_S
        here.aim()
        is_refused(here, here.request())
        with here.ledger.begin() as session:
            [ref] = session.scalars(select(Order.order_ref).where(Order.symbol == "QQQ"))
            codes = session.scalars(select(OrderReport.code).where(OrderReport.order_ref == ref)).all()
            last = session.scalars(
                select(OrderReport).where(OrderReport.order_ref == ref).order_by(OrderReport.id.desc())
            ).first()
        assert {201, 161} <= set(codes)
        assert last is not None
        assert (last.code, last.text) == (201, MARGIN)
