"""Retry now: an event that waits for its next try runs at once, and nothing that holds it is passed by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from redis import Redis

from rebalancer.config.settings import Settings
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.outcomes import FOREVER
from rebalancer.ledger import halts
from rebalancer.ledger.models import HaltRow
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.contract.test_cli import Run, Type, run, typed
from tests.ledger_rows import add_event, add_failing, add_waiting

__all__ = ["run", "typed"]

IN_AN_HOUR = datetime.now(UTC) + timedelta(hours=1)


def event(client: httpx.Client, event_id: object) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/queue/events/{event_id}").json()["event"]
    return found


def retried(client: httpx.Client, event_id: object) -> httpx.Response:
    return client.post(f"/queue/events/{event_id}/retry", headers=BEARER)


def test_an_event_that_waits_for_its_next_try_has_it_at_once_and_once(
    client: httpx.Client, ledger: Ledger, app_settings: Settings
) -> None:
    with ledger.begin() as session:
        event_id = add_failing(session)
    assert event(client, event_id)["retriable"] is True
    first, second = retried(client, event_id), retried(client, event_id)
    assert first.json() == {"message": f"Event {event_id} is tried now", "made": True}
    assert second.json() == {"message": f"Event {event_id} is under way already", "made": False}
    found = event(client, event_id)
    assert (found["state"], found["times_queued"], found["retriable"]) == ("queued", 3, False)
    assert found["reason"].startswith("retry asked for by")
    assert datetime.fromisoformat(found["due_at"]) <= datetime.now(UTC)
    assert Redis.from_url(app_settings.stores.redis_url).llen("live") == 1
    asked = [(row["action"], row["subject"]) for row in client.get("/audit", headers=BEARER).json()]
    assert asked == [("retry", str(event_id))] * 2


@pytest.mark.parametrize("rule", ["clock_apart", "other_installation", "orders_unaccounted"])
def test_what_a_person_may_have_mended_is_looked_at_again(client: httpx.Client, ledger: Ledger, rule: str) -> None:
    with ledger.begin() as session:
        event_id = add_event(session, state="held", rule=rule, reason=rule, due_at=IN_AN_HOUR)
    assert retried(client, event_id).json()["made"] is True
    assert event(client, event_id)["state"] == "queued"


@pytest.mark.parametrize("rule", ["market_hours", "pace", "settlement", "gateway_restart", "busy"])
def test_a_hold_lasts_as_long_as_it_says(client: httpx.Client, ledger: Ledger, rule: str) -> None:
    with ledger.begin() as session:
        event_id = add_event(session, state="held", rule=rule, reason=f"not before {rule}", due_at=IN_AN_HOUR)
    before = event(client, event_id)
    answer = retried(client, event_id)
    assert answer.status_code == 422
    assert f"it waits by the rule {rule}: not before {rule}" in answer.json()["detail"]
    assert event(client, event_id) == before


def test_neither_a_plan_that_waits_nor_a_halt_is_passed_by(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        asked = add_waiting(session, "DU1000001")
        session.add(HaltRow(id=77, scope="DU1000002", reason="fire drill", by="ada"))
        session.flush()
        halted = add_event(session, "DU1000002", state="held", rule="halt", halt_id=77, reason="halted", due_at=FOREVER)
        halts.halt(session, "DU1000003", "travelling", "ada")
        failing = add_failing(session, "DU1000003")
    for event_id, why in ((asked, "rule approval"), (halted, "rule halt: halted"), (failing, "by ada since")):
        answer = retried(client, event_id)
        assert (answer.status_code, why in answer.json()["detail"]) == (422, True), answer.text
    assert [event(client, one)["state"] for one in (asked, halted, failing)] == ["held", "held", "retrying"]


def test_what_runs_stays_as_it_is_and_what_has_ended_is_not_found(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        running = add_event(session, state="running", attempt=1, worker="w/1/1", lease_until=IN_AN_HOUR)
        ended = add_event(session, "DU1000002", state="succeeded", reason="done", finished_at=datetime.now(UTC))
    assert retried(client, running).json()["made"] is False
    assert event(client, running)["state"] == "running"
    assert retried(client, ended).status_code == 404


def test_the_command_line_says_the_same(run: Run, typed: Type, ledger: Ledger) -> None:
    with ledger.begin() as session:
        event_id = str(add_failing(session))
        asked = str(add_waiting(session, "DU1000004"))
    assert run("retry", event_id[:8]) == (0, {"message": "is tried now", "event_id": event_id, "made": True})
    assert run("retry", event_id)[1]["made"] is False
    assert "retry" in [row["action"] for row in run("audit")[1]]
    error = typed("retry", asked).exception
    assert isinstance(error, RequestRefused)
    assert "it waits by the rule approval" in str(error)
    assert "no active event" in str(typed("retry", "7d1c9b5e-0d3f-4d0e-9a55-0f6f5b3f2a11").exception)
