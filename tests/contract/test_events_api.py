"""What is said of events, accounts and signals, and to whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from rebalancer.ledger.models import Signal
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import NOON, add_event, add_traded, seeded


def test_an_event_tells_why_it_traded(client: httpx.Client, ledger: Ledger) -> None:
    shown = client.get(f"/queue/events/{seeded(ledger)['traded']}").json()
    assert shown["event"]["state"] == "succeeded"
    assert [signal["payload"] for signal in shown["signals"]] == [{"exec": "rebalance"}]
    (attempt,) = shown["attempts"]
    assert attempt["inputs"]["targets"]["as_of"] == "2026-03-01"
    assert attempt["plan"]["orders"][0]["reason"] == "below its target"
    (order,) = attempt["orders"]
    assert [report["status"] for report in order["reports"]] == ["Submitted", "Filled"]
    assert [fill["quantity"] for fill in order["fills"]] == [100, 94]
    assert (order["average_price"], order["commission"], order["notional"]) == (100.01, 1.0, 19401.94)
    weights = [attempt[moment]["positions"][0]["weight"] for moment in ("before", "after")]
    assert weights == ["0.404040", "0.600000"]


def test_an_event_tells_why_it_fails(client: httpx.Client, ledger: Ledger) -> None:
    shown = client.get(f"/queue/events/{seeded(ledger)['failing']}").json()
    assert shown["event"]["last_error"] == "GatewayUnavailable: away"
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["failed", "failed"]


def test_an_unknown_event_is_not_found(client: httpx.Client) -> None:
    assert client.get(f"/queue/events/{uuid4()}").status_code == 404


def test_pages_follow_each_other_without_a_hole(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        made = [
            str(add_event(session, state="succeeded", created_at=NOON + timedelta(seconds=number // 2)))
            for number in range(7)
        ]
    for order in ("oldest", "newest"):
        seen, path = [], f"/queue/events?state=succeeded&limit=3&order={order}"
        while path:
            answer = client.get(path)
            seen += [event["event_id"] for event in answer.json()]
            path = answer.links.get("next", {}).get("url", "")
        assert sorted(seen) == sorted(made)
        assert len(seen) == 7


def test_events_are_found_by_account_and_state(client: httpx.Client, ledger: Ledger) -> None:
    made = seeded(ledger)
    found = client.get("/queue/events?state=succeeded&state=retrying&account_id=DU1000002").json()
    assert [event["event_id"] for event in found] == [str(made["failing"])]


def test_accounts_say_how_far_they_are_from_target(client: httpx.Client, ledger: Ledger) -> None:
    seeded(ledger)
    first, second, *_ = client.get("/accounts").json()
    assert (first["account_id"], first["net_liquidation"]) == ("DU1000001", 100000.0)
    assert first["drift"] == pytest.approx(0.2)
    assert first["last_rebalance_at"] is not None
    assert (second["drift"], second["next_state"]) == (None, "retrying")


def test_positions_and_value_say_when_they_were_true(client: httpx.Client, ledger: Ledger) -> None:
    seeded(ledger)
    positions = client.get("/accounts/DU1000001/positions").json()
    assert (positions["source"], positions["timestamp"]) == ("ledger", "2026-03-02T17:00:08Z")
    assert positions["positions"][0] == {
        "symbol": "SPY",
        "quantity": 594.0,
        "price": 100.0,
        "weight": 0.6,
        "average_cost": None,
    }
    value = client.get("/accounts/DU1000001/value").json()
    assert (value["net_liquidation"], value["cash"], value["source"]) == (100000.0, 40599.0, "ledger")
    assert client.get("/accounts/DU1000004/value").status_code == 409
    assert client.get("/accounts/DU9/value").status_code == 404
    assert client.get("/accounts/DU1000001/value?fresh=true").status_code == 403


def test_todays_gain_is_known_on_its_day_only(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_traded(session)
        add_traded(session, "DU1000002", datetime.now(UTC))
    assert client.get("/accounts/DU1000001/value").json()["gain_today"] is None
    assert client.get("/accounts/DU1000002/value").json()["gain_today"] == 749.5
    assert [one["gain_today"] for one in client.get("/accounts").json()][:3] == [None, 749.5, None]


def test_the_newest_snapshot_counts(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_traded(session, at=NOON + timedelta(days=1))
        add_traded(session)
    assert client.get("/accounts/DU1000001/value").json()["timestamp"] == "2026-03-03T17:00:08Z"


def test_signals_name_the_events_that_serve_them(client: httpx.Client, ledger: Ledger) -> None:
    made = seeded(ledger)
    with ledger.begin() as session:
        session.add(Signal(channel="blend", message_id="x", state="quarantined", remark="payload is not JSON"))
    shown = client.get("/signals").json()
    assert [signal["state"] for signal in shown] == ["quarantined", "accepted", "accepted", "accepted"]
    assert [event["event_id"] for event in shown[-1]["events"]] == [str(made["traded"])]
    (kept,) = client.get("/signals?state=quarantined").json()
    assert kept["remark"] == "payload is not JSON"
    assert [one["id"] for one in client.get(f"/signals?before={kept['id']}&limit=1").json()] == [kept["id"] - 1]


def test_without_waiting_a_rebalance_is_accepted(client: httpx.Client) -> None:
    answer = client.post("/rebalance/DU1000001?wait_s=0", headers=BEARER)
    assert answer.status_code == 202
    assert answer.json()["status"] == "pending"
    assert client.get(f"/queue/events/{answer.json()['event_id']}").json()["event"]["exec_command"] == "rebalance"


def test_a_rebalance_of_an_unknown_account_is_not_found(client: httpx.Client) -> None:
    assert client.post("/rebalance/DU9?wait_s=0", headers=BEARER).status_code == 404
    assert client.post("/rebalance/DU9/dry-run?wait_s=0").status_code == 403
