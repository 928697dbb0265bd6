"""The first order of a gateway session travels alone, across all workers."""

from __future__ import annotations

from sqlalchemy import select

from rebalancer.ledger.models import Event
from rebalancer.ledger.states import EventState
from tests.integration.survival.harness import OTHER, Bench
from tests.integration.survival.windows import (
    ONCE,
    click,
    proven,
    sent,
    sent_by,
    swallow,
    together,
)


def test_f26_the_first_order_of_a_session_travels_alone_and_the_burst_survives(here: Bench) -> None:
    """What a fresh gateway does: it asks about the first order, and loses those that arrive meanwhile."""
    swallow(here, **{"*": {"times": 1, "each_session": True, "click_ms": 200, "drops_others": True}})
    outcome = here.rebalance()
    assert outcome.state is EventState.SUCCEEDED, outcome
    assert here.positions == here.wanted
    here.prove_books()


def test_f26_two_workers_at_once_send_one_first_order(here: Bench) -> None:
    other = here.beside(OTHER, 8)
    other.aim()
    try:
        swallow(here, **{"*": {"times": 1, "click_ms": 250, "drops_others": True}})
        outcomes = together(here.rebalance, other.rebalance)
        assert [outcome.state for outcome in outcomes] == [EventState.SUCCEEDED] * 2, outcomes
        for bench in (here, other):
            assert bench.positions == bench.wanted
            bench.prove_books()
    finally:
        other.close()


def test_f26_when_the_first_order_is_swallowed_no_other_worker_sends_any(here: Bench) -> None:
    other = here.beside(OTHER, 8)
    other.aim()
    try:
        swallow(here, **ONCE)
        outcomes = together(here.rebalance, other.rebalance)
        states = sorted(outcome.state for outcome in outcomes)
        assert states == [EventState.HELD, EventState.RETRYING], outcomes
        waiting = next(outcome for outcome in outcomes if outcome.state is EventState.RETRYING)
        assert "is not acknowledged by the gateway" in waiting.error
        assert sent(here) == []
        click(here)
        both = zip((here, other), outcomes, strict=True)
        for bench, _ in sorted(both, key=lambda one: one[1].state is not EventState.HELD):
            with bench.ledger.begin() as session:
                event_id = session.scalars(select(Event.id).where(Event.account_id == bench.account)).all()[-1]
            proven(bench, event_id)
    finally:
        other.close()


def test_f26_a_worker_whose_connection_is_older_than_an_acknowledgement_sends_freely(here: Bench) -> None:
    other = here.beside(OTHER, 8)
    other.aim()
    try:
        assert here.rebalance().state is EventState.SUCCEEDED
        swallow(here, IWM={"times": 1})
        outcome = other.rebalance()
        assert outcome.state is EventState.HELD
        assert "SPY" in sent_by(other), "the second order did not wait for the first"
    finally:
        other.close()
