"""The examples of the original documents, literally: same fields, same types, same words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from rebalancer.ledger.models import Attempt
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import RESULT, add_event, add_failing, seeded

STATUS = {"queue_length": 5, "active_events_count": 3, "oldest_event_age_seconds": 120, "events_with_retries": 1}
HEALTH = {"status": "healthy", "healthy": True, "events_with_retries": 0, "message": "No events require retry"}
EVENT = {"event_id", "account_id", "exec_command", "times_queued", "created_at", "data"}
DETAILED = {"queue_length", "active_events_count", "total_events", "max_retry_count", "retry_distribution"}
RESULT_EXAMPLE: dict[str, Any] = {
    "account_id": "DU123456",
    "execution_mode": "dry_run",
    "equity_info": {
        "total_equity": 100000.0,
        "reserve_percentage": 1.0,
        "reserve_amount": 1000.0,
        "available_for_trading": 99000.0,
    },
    "orders": [{"symbol": "AAPL", "quantity": 10, "action": "BUY", "market_value": 1500.0}],
    "status": "success",
    "message": "Dry run rebalancing completed successfully",
    "timestamp": "2023-12-01T10:00:00Z",
}


def same_shape(shown: Any, example: Any) -> None:
    """Every field of the example is there, with a value of its type; more fields are allowed."""
    if isinstance(example, dict):
        assert example.keys() <= shown.keys()
        for key, value in example.items():
            same_shape(shown[key], value)
    elif isinstance(example, list):
        for one in shown:
            same_shape(one, example[0])
    else:
        assert isinstance(shown, type(example)), f"{shown!r} is no {type(example).__name__}"


def test_the_root_says_who_it_is(client: httpx.Client) -> None:
    assert client.get("/").json().keys() == {"message", "version"}
    assert client.get("/").json()["message"] == "Portfolio Rebalancer Management Service"


def test_health_and_status_have_exactly_the_seeds_fields(client: httpx.Client, ledger: Ledger) -> None:
    assert client.get("/health").json() == HEALTH
    with ledger.begin() as session:
        add_event(session, created_at=datetime.now(UTC) - timedelta(seconds=120))
    shown = client.get("/queue/status").json()
    assert shown.keys() == STATUS.keys()
    same_shape(shown, STATUS)
    assert 120 <= shown["oldest_event_age_seconds"] <= 125


def test_detailed_health_counts_the_retries(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_failing(session)
        add_event(session, "DU1000002")
    shown = client.get("/health/detailed").json()
    ours = {"notifications_stuck", "processes", "remarks"}
    assert HEALTH.keys() | DETAILED | ours == shown.keys()
    assert (shown["healthy"], shown["events_with_retries"]) == (False, 1)
    assert (shown["total_events"], shown["max_retry_count"]) == (2, 3)
    assert shown["retry_distribution"] == {"1": 1, "3": 1}


def test_every_listed_event_has_the_seeds_fields(client: httpx.Client, ledger: Ledger) -> None:
    seeded(ledger)
    for shown in client.get("/queue/events").json():
        assert shown.keys() >= EVENT


def test_the_later_types_are_told_apart_with_their_times(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_failing(session)
        add_event(session, "DU1000002", state="held", rule="market_hours", reason="market closed")
        add_event(session, "DU1000003")
    for kind, account in (("active", "DU1000003"), ("retry", "DU1000001"), ("delayed", "DU1000002")):
        (shown,) = client.get(f"/queue/events?type={kind}").json()
        assert (shown["account_id"], shown["type"]) == (account, kind)
        assert (shown["retry_after"] is not None) == (kind == "retry")
        assert (shown["execution_time"] is not None) == (kind == "delayed")
    answer = client.get("/queue/events?type=other")
    assert (answer.status_code, "active, retry, delayed" in answer.json()["detail"]) == (400, True)


def test_the_whole_queue_is_cleared_and_counted(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_failing(session)
        add_event(session, "DU1000002", state="held", rule="market_hours", reason="market closed")
        add_event(session, "DU1000003")
    assert client.delete("/queue/events").status_code == 403
    assert client.delete("/queue/events", headers=BEARER).json() == {
        "message": "Successfully cleared 3 events from all queues",
        "cleared_counts": {"active_queue": 1, "retry_queue": 1, "delayed_queue": 1, "active_events_set": 3},
    }
    assert client.get("/queue/events").json() == []


def test_a_result_has_the_seeds_fields_with_numbers_as_numbers(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        event_id = add_event(session, command="print-rebalance", requested_generation=1)
        result = RESULT | {"execution_mode": "dry_run"}
        session.add(
            Attempt(event_id=event_id, number=1, observed_generation=2, worker="w", outcome="succeeded", result=result),
        )
    answer = client.post("/rebalance/DU1000001/dry-run?wait_s=0", headers=BEARER)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    same_shape(shown, RESULT_EXAMPLE)
    assert shown["equity_info"] == RESULT_EXAMPLE["equity_info"]
    assert (shown["account_id"], shown["execution_mode"]) == ("DU1000001", "dry_run")
    assert shown["cancelled_orders"] == []
