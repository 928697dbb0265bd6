"""Clocks and zones: a live run is held while the gateway's clock and ours are apart, and a dry run says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import Event, FillRow
from rebalancer.ledger.states import EventState
from rebalancer.usecases import print_rebalance
from sandbox.gateway.timekeeping import Timekeeping
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import Bench, ends_on_target


def rules(here: Bench) -> list[dict[str, str]]:
    """What a dry run says would act on a live one."""
    outcome = here.attempt(here.request(Command.PRINT_REBALANCE), print_rebalance)
    assert outcome.result is not None, outcome
    found: list[dict[str, str]] = outcome.result["rules"]
    return found


@pytest.mark.parametrize("ahead_s", [8, -8, 600, -7200])
def test_f30_clocks_that_are_apart_hold_a_live_run_and_name_both_times(benches: MakeBench, ahead_s: int) -> None:
    with benches(gateway={"clock_ahead_s": ahead_s}) as here:
        event_id = here.request()
        outcome = here.attempt(event_id)
        assert outcome.state is EventState.HELD
        theirs = datetime.now(UTC) + timedelta(seconds=ahead_s)
        for word in ("clock_apart", f"gateway's clock shows {theirs:%Y-%m-%d %H:}", "ours 2", "5 s allowed"):
            assert word in outcome.error
        assert here.refs == []
        with here.ledger.begin() as session:
            due = session.scalars(select(Event.due_at).where(Event.id == event_id)).one()
        assert due < datetime.now(UTC) + timedelta(seconds=61), "it is tried again soon"
        assert [rule["rule"] for rule in rules(here)] == ["clock_apart"]


@pytest.mark.parametrize("ahead_s", [0, 3, -3])
def test_f30_a_few_seconds_are_no_reason_to_wait(benches: MakeBench, ahead_s: int) -> None:
    with benches(gateway={"clock_ahead_s": ahead_s, "messages_per_window": 1000}) as here:
        here.aim()
        assert rules(here) == []
        ends_on_target(here, 1)


def test_f30_the_tolerance_is_a_setting(benches: MakeBench) -> None:
    with benches(gateway={"clock_ahead_s": 600, "messages_per_window": 1000}) as here:
        here.aim()
        here.settings["clock_tolerance_s"] = 900
        ends_on_target(here, 1)


def test_f30_a_run_goes_on_once_the_clocks_agree(benches: MakeBench) -> None:
    with benches(gateway={"clock_ahead_s": -30, "messages_per_window": 1000}) as here:
        here.aim()
        event_id = here.request()
        assert here.attempt(event_id).state is EventState.HELD
        right = here.served.gateway.setup.gateway.model_copy(update={"clock_ahead_s": 0})
        here.served.do(lambda gateway: setattr(gateway.exchange, "time", Timekeeping(right)))
        with here.ledger.begin() as session:
            session.execute(update(Event).values(due_at=datetime.now(UTC)))
        here.finish(event_id, 1)
        assert here.positions == here.wanted
        here.prove_books()


@pytest.mark.parametrize(
    "gateway",
    [
        {"time_zone": "Asia/Tokyo", "execution_time": "local"},
        {"time_zone": "Pacific/Kiritimati", "zone_name": "Line Islands Standard Time"},
        {"time_zone": "America/Chicago", "execution_time": "utc"},
    ],
)
def test_f30_a_gateway_in_another_zone_dates_fills_right(benches: MakeBench, gateway: dict[str, Any]) -> None:
    with benches(gateway=gateway | {"messages_per_window": 1000}) as here:
        here.aim()
        ends_on_target(here, 1)
        with here.ledger.begin() as session:
            moments = session.scalars(select(FillRow.at)).all()
        assert moments
        assert all(abs(at - datetime.now(UTC)) < timedelta(seconds=10) for at in moments)
