"""The management API's contract, on a real PostgreSQL and Redis."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from redis import Redis

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.ledger import events, ownership
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.serving import serving


def post(client: httpx.Client, account: str = "DU1000001", command: str = "print-rebalance") -> dict[str, object]:
    answer = client.post("/queue/events", json={"account_id": account, "exec_command": command}, headers=BEARER)
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


def test_an_idle_system_is_healthy(client: httpx.Client) -> None:
    assert client.get("/health").json() == {
        "status": "healthy",
        "healthy": True,
        "events_with_retries": 0,
        "message": "No events require retry",
    }


def test_the_status_of_an_empty_queue(client: httpx.Client) -> None:
    assert client.get("/queue/status").json() == {
        "queue_length": 0,
        "active_events_count": 0,
        "oldest_event_age_seconds": None,
        "events_with_retries": 0,
    }


def test_an_added_event_is_listed_with_the_contracts_fields(client: httpx.Client) -> None:
    added = client.post(
        "/queue/events",
        json={"account_id": "DU1000001", "exec_command": "rebalance", "data": {"exec": "rebalance"}},
        headers=BEARER,
    ).json()
    assert added["message"] == "Event added successfully"
    assert added["created"] is True
    (listed,) = client.get("/queue/events").json()
    assert listed["event_id"] == added["event_id"]
    assert listed["account_id"] == "DU1000001"
    assert listed["exec_command"] == "rebalance"
    assert listed["times_queued"] == 1
    assert listed["data"] == {"exec": "rebalance"}
    assert client.get("/queue/status").json()["queue_length"] == 1


def test_an_active_key_answers_with_the_active_event(client: httpx.Client) -> None:
    first, second = post(client), post(client)
    assert second["created"] is False
    assert second["event_id"] == first["event_id"]


def test_one_message_is_published_per_active_key(client: httpx.Client, app_settings: Settings) -> None:
    post(client, command="rebalance")
    post(client, command="rebalance")
    assert Redis.from_url(app_settings.stores.redis_url).llen("live") == 1


def test_an_unknown_account_is_answered_with_the_known_ones(client: httpx.Client) -> None:
    answer = client.post("/queue/events", json={"account_id": "DU9", "exec_command": "rebalance"}, headers=BEARER)
    assert answer.status_code == 404
    assert "DU1000001" in answer.json()["detail"]


def test_an_unknown_command_is_answered_with_the_known_ones(client: httpx.Client) -> None:
    answer = client.post("/queue/events", json={"account_id": "DU1000001", "exec_command": "buy"}, headers=BEARER)
    assert answer.status_code == 422
    assert "print-rebalance" in answer.json()["detail"]


@pytest.mark.parametrize(("headers", "status"), [({}, 403), ({"Authorization": "Bearer wrong"}, 401)])
def test_without_the_right_key_nothing_changes(client: httpx.Client, headers: dict[str, str], status: int) -> None:
    body = {"account_id": "DU1000001", "exec_command": "rebalance"}
    assert client.post("/queue/events", json=body, headers=headers).status_code == status
    assert client.delete(f"/queue/events/{uuid4()}", headers=headers).status_code == status
    assert client.get("/queue/events").json() == []


def test_a_key_that_is_not_configured_is_the_operators_fault(app_settings: Settings) -> None:
    with serving(create_app(app_settings.changed(management_api_key=None))) as client:
        answer = client.post("/queue/events", json={"account_id": "x", "exec_command": "y"}, headers=BEARER)
    assert (answer.status_code, answer.json()["detail"]) == (500, "Management API key not configured")


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_limit_out_of_range_is_refused(client: httpx.Client, limit: int) -> None:
    assert client.get(f"/queue/events?limit={limit}").status_code == 422


def test_a_removed_event_is_gone_for_good(client: httpx.Client) -> None:
    event_id = post(client)["event_id"]
    answer = client.delete(f"/queue/events/{event_id}", headers=BEARER)
    assert answer.json() == {"message": f"Event {event_id} removed successfully"}
    assert client.get("/queue/events").json() == []
    again = client.delete(f"/queue/events/{event_id}", headers=BEARER)
    assert (again.status_code, again.json()["detail"]) == (404, f"Event {event_id} not found in queue")


def test_a_removed_event_takes_its_message_along(client: httpx.Client, app_settings: Settings) -> None:
    client.delete(f"/queue/events/{post(client)['event_id']}", headers=BEARER)
    assert Redis.from_url(app_settings.stores.redis_url).llen("report") == 0
    post(client)
    assert Redis.from_url(app_settings.stores.redis_url).llen("report") == 1


def test_a_retried_event_is_unhealthy(client: httpx.Client, ledger: Ledger) -> None:
    event_id = UUID(str(post(client)["event_id"]))
    claim = ownership.claim(ledger, event_id, "worker", timedelta(seconds=60))
    assert claim is not None
    with ledger.begin() as session:
        events.fail(session, claim, "gateway away", timedelta(seconds=60))
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"], answer.json()["events_with_retries"]) == (200, "unhealthy", 1)


def test_a_ledger_that_is_away_is_said_plainly(app_settings: Settings, tmp_path: Path) -> None:
    nowhere = app_settings.changed(database_url=f"postgresql+psycopg2://postgres@/x?host={tmp_path}")
    with serving(create_app(nowhere)) as client:
        assert client.get("/health").json()["status"] == "error"
        assert client.get("/queue/status").status_code == 503


def test_redis_away_loses_nothing(app_settings: Settings) -> None:
    away = app_settings.changed(redis_url="redis://127.0.0.1:1/0")
    with serving(create_app(away)) as client:
        assert post(client)["created"] is True
        assert len(client.get("/queue/events").json()) == 1
