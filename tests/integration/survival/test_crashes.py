"""A worker may die at any step between claim and recorded outcome, and its connection at any message: the account ends
on its plan, nothing is sent twice, nothing is orphaned, and the ledger knows every fill.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from decimal import Decimal
from itertools import count
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from rebalancer.ledger.session import Ledger
from rebalancer.ledger.states import EventState
from sandbox.gateway.behaviour import Incoming
from tests.conftest import empty
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.dying import Crash, Cutting, Fuse, FusedBroker, FusedLedger
from tests.integration.survival.harness import Bench

ONE_SELL_ONE_BUY = {
    "margin": True,
    "cash": 1_500,
    "positions": {"SPY": 224, "VXX": 133, "TLT": 176, "QQQ": 172, "IWM": 180},
}
IN_PIECES = {"mode": "partial", "slices": 2, "delay_ms": 5, "interval_ms": 10}
MOST_STEPS = 100
LEAST_STEPS = 50
PARTS = 8


def dying(here: Bench, event_id: UUID, step: int) -> str | None:
    """Run the event with a worker that dies at that step.

    Returns:
        Where it died; ``None`` if the run had fewer steps.
    """
    fuse = Fuse(step, here.sever)
    _run(here, event_id, fuse)
    return fuse.burnt


def dying_never(here: Bench, event_id: UUID) -> list[str]:
    """Run the event to its end.

    Returns:
        The steps at which a worker could have died.
    """
    fuse = Fuse(0, here.sever)
    _run(here, event_id, fuse)
    return fuse.passed


def _run(here: Bench, event_id: UUID, fuse: Fuse) -> None:
    whole, here.ledger = here.ledger, FusedLedger(here.ledger.url, fuse)
    try:
        here.attempt(event_id, broker=FusedBroker(here.broker, fuse))  # type: ignore[arg-type]
    except Crash:
        here.ledger = whole
        here.crash()
    finally:
        here.ledger = whole


def prove(here: Bench, event_id: UUID) -> None:
    """Let the event succeed, however often it has died, and compare everything."""
    if here.state(event_id) is not EventState.SUCCEEDED:
        here.finish(event_id)
    assert here.positions == here.wanted
    here.prove_books()


@pytest.mark.parametrize("first", range(1, PARTS + 1))
def test_a_worker_that_dies_at_any_step_changes_nothing_of_the_end(benches: MakeBench, first: int) -> None:
    """Every step of one scenario: here each PARTS-th, up to the last."""
    places = []
    wanted: dict[str, Decimal] = {}
    for step in count(first, PARTS):
        account = f"DU1{step:06}"
        with benches(accounts={account: ONE_SELL_ONE_BUY}, fills=IN_PIECES) as here:
            here.account = account
            wanted = here.wanted = wanted or here.planned()
            event_id = here.request()
            died = dying(here, event_id, step)
            if died is None:
                break
            places.append(died)
            try:
                prove(here, event_id)
            except AssertionError as error:
                raise AssertionError(f"died at step {step}, {died}: {error}") from error
    assert len(places) > LEAST_STEPS / PARTS, places


def test_those_steps_are_all_that_a_run_takes(benches: MakeBench) -> None:
    """Who dies nowhere passes each of them."""
    with benches(accounts={"DU1000000": ONE_SELL_ONE_BUY}, fills=IN_PIECES) as here:
        here.account = "DU1000000"
        passed = dying_never(here, here.request())
    assert len(passed) > LEAST_STEPS, passed
    steps = {"before an order", "at a report", "before a commit", "after a commit", "after a question"}
    assert steps | {"after snapshot", "after look_ahead"} <= set(passed)


def test_deaths_and_cut_connections_in_any_order_change_nothing_of_the_end(benches: MakeBench, ledger: Ledger) -> None:
    class Deaths(RuleBasedStateMachine):
        """One account's event, which dies and is cut again and again before it may succeed."""

        def __init__(self) -> None:
            super().__init__()
            self.cutting = Cutting()
            self.context: AbstractContextManager[Bench] | None = None
            self.here: Bench
            self.event_id: UUID

        @initialize(in_pieces=st.booleans())
        def begin(self, in_pieces: bool) -> None:
            empty(ledger)
            self.context = benches(self.cutting, fills=IN_PIECES if in_pieces else {})
            self.here = self.context.__enter__()
            self.here.aim()
            self.event_id = self.here.request()

        @rule(step=st.integers(1, MOST_STEPS))
        def die(self, step: int) -> None:
            if self.here.state(self.event_id) is not EventState.SUCCEEDED:
                dying(self.here, self.event_id, step)

        @rule(message=st.integers(1, 60), verdict=st.sampled_from([Incoming.RESET_BEFORE, Incoming.RESET_AFTER]))
        def cut(self, message: int, verdict: Incoming) -> None:
            if self.here.state(self.event_id) is not EventState.SUCCEEDED:
                self.here.served.do(lambda _gateway: self.cutting.cut(message, verdict))
                self.here.attempt(self.event_id)

        def teardown(self) -> None:
            if self.context is None:
                return
            try:
                self.here.served.do(lambda _gateway: self.cutting.cut(0, Incoming.HANDLE))
                prove(self.here, self.event_id)
            finally:
                self.context.__exit__(None, None, None)

    run_state_machine_as_test(
        Deaths,
        settings=settings(
            max_examples=8, stateful_step_count=4, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
