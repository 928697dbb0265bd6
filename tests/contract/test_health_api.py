"""What orchestrators, Prometheus and watching pages are told."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.ledger import heartbeats
from rebalancer.ledger.models import Channel, DeliveryRow, NoticeRow, Signal
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import NOON, STRATEGY, add_event, seeded
from tests.serving import serving


def broken(client: httpx.Client) -> dict[str, str]:
    answer = client.get("/readyz", headers=BEARER)
    checks = answer.json()["checks"]
    assert answer.json()["ready"] == all(check["ok"] for check in checks) == (answer.status_code == 200)
    return {check["name"]: check["detail"] for check in checks if not check["ok"]}


def at_work(ledger: Ledger, **detail: str) -> None:
    with ledger.begin() as session:
        heartbeats.started(session, "beat", "b", {})
        heartbeats.started(session, "worker", "w", {"gateway": "connected", "trouble": None} | detail)


def test_readiness_names_everything_that_is_missing(client: httpx.Client) -> None:
    assert broken(client).keys() == {"dispatcher", "worker", "gateway"}


def test_with_everything_at_work_it_is_ready(client: httpx.Client, ledger: Ledger) -> None:
    at_work(ledger)
    assert broken(client) == {}


def test_a_silent_worker_and_an_old_tick_are_noticed(client: httpx.Client, ledger: Ledger) -> None:
    at_work(ledger)
    with ledger.begin() as session:
        session.execute(text("UPDATE components SET seen_at = now() - interval '10 minutes'"))
    assert "600 s ago" in broken(client)["worker"]
    assert "600 s ago" in broken(client)["dispatcher"]


@pytest.mark.parametrize("detail", [{"gateway": "away"}, {"trouble": "1100: Connectivity has been lost"}])
def test_a_gateway_that_is_away_is_noticed(client: httpx.Client, ledger: Ledger, detail: dict[str, str]) -> None:
    at_work(ledger, **detail)
    assert broken(client).keys() == {"gateway"}


def test_a_deaf_listener_is_noticed(app_settings: Settings, ledger: Ledger) -> None:
    at_work(ledger)
    listening = app_settings.changed(realtime_api_key=SecretStr("key.id:secret"))
    with serving(create_app(listening)) as client:
        assert "never listened" in broken(client)["signals"]
        with ledger.begin() as session:
            session.add(
                Channel(channel="etf-blend-301-20", baseline_at=NOON, complete_at=NOON, heard_until=NOON, trouble="401")
            )
        assert broken(client)["signals"].endswith("401")
        with ledger.begin() as session:
            session.execute(text("UPDATE channels SET heard_until = now()"))
        assert broken(client) == {}


def remarked(client: httpx.Client) -> list[str]:
    remarks: list[str] = client.get("/health/detailed", headers=BEARER).json()["remarks"]
    return remarks


def said(ledger: Ledger, payload: object, remark: str | None, state: str = "accepted", minutes: int = 1) -> None:
    """A message on a channel that is heard."""
    facts = {"command": None if state == "quarantined" else "print-rebalance", "payload": payload, "remark": remark}
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    with ledger.begin() as session:
        session.add(Signal(channel=STRATEGY, message_id=uuid4().hex, state=state, received_at=at, **facts))


def test_a_misspelt_command_is_remarked_until_the_next_one_is_understood(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        session.add(Channel(channel=STRATEGY, baseline_at=NOON, complete_at=NOON, heard_until=NOON))
    late = "asked for rebalance, but was 30 h old: dry run instead"
    said(ledger, {"exec": "rebalance"}, late)
    assert remarked(client) == []
    said(ledger, {"exec": "Rebalance"}, "unknown exec 'Rebalance'")
    start = f"the last signal of {STRATEGY} was not understood: "
    assert remarked(client) == [f"{start}unknown exec 'Rebalance'; it was taken for print-rebalance: ask its provider"]
    said(ledger, {"exec": "print-rebalance"}, None)
    assert remarked(client) == []
    said(ledger, None, "payload has 99999 bytes, more than 65536", "quarantined")
    assert [one.startswith(start) for one in remarked(client)] == [True]
    with ledger.begin() as session:
        session.execute(text("UPDATE signals SET received_at = now() - interval '8 days'"))
    assert remarked(client) == []


def test_messages_that_are_stuck_for_long_are_remarked(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        notice = NoticeRow(kind="event.attention", detail={})
        session.add(notice)
        session.flush()
        now = datetime.now(UTC)
        session.add(DeliveryRow(notice_id=notice.id, target="phone", box="x", due_at=now, tries=2, last_error="403"))
    assert remarked(client) == []
    with ledger.begin() as session:
        session.execute(text("UPDATE notices SET at = now() - interval '20 minutes'"))
    [told] = remarked(client)
    assert told.startswith("notifications to phone are not delivered: 1 since ")
    assert "403" in told


def test_redis_and_ledger_away_are_said(app_settings: Settings, ledger: Ledger) -> None:
    away = app_settings.changed(redis_url="redis://127.0.0.1:1/0")
    with serving(create_app(away)) as client:
        assert "REDIS_URL" in broken(client)["redis"]
    nowhere = app_settings.changed(database_url="postgresql+psycopg2://postgres@127.0.0.1:1/x")
    with serving(create_app(nowhere)) as client:
        assert "DATABASE_URL" in broken(client)["database"]
        assert client.get("/livez").json() == {"status": "alive"}


def test_metrics_say_what_the_ledger_says(client: httpx.Client, ledger: Ledger) -> None:
    seeded(ledger)
    at_work(ledger)
    answer = client.get("/metrics")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["rebalancer_events", "retrying"] == 1
    assert found["rebalancer_workers_connected",] == 1
    assert found["rebalancer_account_net_liquidation_usd", "DU1000001"] == 100_000
    assert found["rebalancer_check_ok", "redis"] == 1


def test_watchers_are_told_of_a_change_and_of_nothing_else(client: httpx.Client, ledger: Ledger) -> None:
    told: list[str] = []

    def add_soon() -> None:
        with ledger.begin() as session:
            add_event(session)

    with client.stream("GET", "/stream") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        threading.Timer(2.5, add_soon).start()
        for line in answer.iter_lines():
            if line.startswith("data: "):
                told.append(line)
            if len(told) == 2:
                break
    assert len(set(told)) == 2
