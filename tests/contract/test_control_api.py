"""Halts, approvals and schedules through the API."""

from __future__ import annotations

import httpx

from rebalancer.domain.scopes import Scope
from rebalancer.ledger import credentials
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import add_waiting


def waiting(ledger: Ledger) -> str:
    """An event whose plan waits for a person."""
    with ledger.begin() as session:
        return str(add_waiting(session))


def test_a_halt_is_made_listed_and_lifted(client: httpx.Client) -> None:
    assert client.post("/halts", json={}).status_code == 403
    assert client.post("/halts", json={"reason": "travelling"}, headers=BEARER).json() == {
        "message": "Halted everything"
    }
    again = client.post("/halts", json={}, headers=BEARER)
    assert again.json() == {"message": "Was halted already"}
    (halt,) = client.get("/halts").json()
    assert (halt["scope"], halt["reason"]) == ("all", "travelling")
    assert client.delete("/halts/DU1000001", headers=BEARER).status_code == 404
    assert client.delete("/halts/all", headers=BEARER).json() == {"message": "Resumed; 0 held events are due"}
    assert client.get("/halts").json() == []


def test_an_unknown_account_cannot_be_halted(client: httpx.Client) -> None:
    assert client.post("/halts", json={"account_id": "DU9"}, headers=BEARER).status_code == 404


def test_a_waiting_plan_is_shown_and_approved_once(client: httpx.Client, ledger: Ledger) -> None:
    event_id = waiting(ledger)
    (asked,) = client.get("/approvals").json()
    assert (asked["event_id"], asked["orders"]) == (event_id, {"SPY": 2000000.0})
    path = f"/approvals/{event_id}/approve"
    assert client.post(path).status_code == 403
    assert client.post(path, headers=BEARER).status_code == 200
    assert client.get("/approvals").json() == []
    assert client.post(path, headers=BEARER).status_code == 404
    assert client.get(f"/queue/events/{event_id}").json()["event"]["reason"] == "approved"


def test_only_the_plan_that_is_meant_is_decided_on(client: httpx.Client, ledger: Ledger) -> None:
    event_id = waiting(ledger)
    (asked,) = client.get("/approvals").json()
    for other in (asked["id"] + 1, asked["id"] - 1):
        for decision in ("approve", "reject"):
            path = f"/approvals/{event_id}/{decision}?plan={other}"
            assert client.post(path, headers=BEARER).status_code in (404, 422)
    assert client.get("/approvals").json() == [asked]
    assert client.post(f"/approvals/{event_id}/approve?plan={asked['id']}", headers=BEARER).status_code == 200


def test_a_rejected_plan_ends_its_event(client: httpx.Client, ledger: Ledger) -> None:
    event_id = waiting(ledger)
    assert client.post(f"/approvals/{event_id}/reject", headers=BEARER).status_code == 200
    assert client.get(f"/queue/events/{event_id}").json()["event"]["state"] == "removed"


def test_a_schedule_is_made_listed_and_removed(client: httpx.Client) -> None:
    wanted = {"account_id": "DU1000001", "recurrence": "weekly", "first_on": "2026-01-05"}
    made = client.post("/schedules", json=wanted, headers=BEARER).json()
    assert made["recurrence"] == "weekly"
    assert client.get("/schedules").json() == [made]
    assert client.delete(f"/schedules/{made['id']}", headers=BEARER).status_code == 200
    assert client.delete(f"/schedules/{made['id']}", headers=BEARER).status_code == 404
    past = wanted | {"recurrence": "once"}
    assert client.post("/schedules", json=past, headers=BEARER).status_code == 422


def test_a_schedule_is_changed_as_a_whole_or_not_at_all(client: httpx.Client, ledger: Ledger) -> None:
    wanted = {"account_id": "DU1000001", "recurrence": "weekly", "first_on": "2026-01-05"}
    made = client.post("/schedules", json=wanted, headers=BEARER).json()
    path = f"/schedules/{made['id']}"
    assert client.put(path, json=wanted | {"recurrence": "once"}, headers=BEARER).status_code == 422
    assert client.put(path, json=wanted | {"account_id": "DU9"}, headers=BEARER).status_code == 404
    assert client.get("/schedules").json() == [made]
    changed = client.put(path, json=wanted | {"recurrence": "monthly"}, headers=BEARER).json()
    assert (changed["recurrence"], changed["first_on"]) == ("monthly", "2026-01-05")
    assert client.get("/schedules").json() == [changed]
    assert client.put(path, json=wanted, headers=BEARER).status_code == 404
    with ledger.begin() as session:
        operate = credentials.make_key(session, "cron", [Scope.OPERATE], "tests")
    only_operates = {"Authorization": f"Bearer {operate}"}
    assert client.put(f"/schedules/{changed['id']}", json=wanted, headers=only_operates).status_code == 403
