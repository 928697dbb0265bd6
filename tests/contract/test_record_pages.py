"""Pages of what is on record: complete, and without a secret."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from api.app import create_app
from api.web.settings_in_force import AT_START, DEFAULT, HIDDEN, UNSET, in_force
from rebalancer.config.settings import FIELDS, Settings
from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.recurrence import Recurrence
from rebalancer.ledger import audit_log, outbox, schedules
from rebalancer.ledger.models import Channel, GapRow, Signal, SignalEvent
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER, KEY
from tests.ledger_rows import NOON, add_event, seeded
from tests.serving import serving

HTML = BEARER | {"Accept": "text/html"}


def test_what_was_told_asked_scheduled_and_received_has_a_page(client: httpx.Client, ledger: Ledger) -> None:
    ids = seeded(ledger)
    with ledger.begin() as session:
        outbox.tell(session, NoticeKind.FAILING, "DU1000002", ids["failing"], command="rebalance", error="away")
        audit_log.note(session, "<owner>", "::1", action="remove", subject=str(ids["failing"]), detail={"by": ["hand"]})
        schedules.add(
            session,
            "DU1000003",
            Command.REBALANCE,
            recurrence=Recurrence.ONCE,
            first_on=date.today() + timedelta(days=7),  # noqa: DTZ011 - any day of next week
            now=datetime.now(UTC),
            by="owner",
        )
    told = client.get("/desk/notifications", headers=HTML).text
    assert f'href="/events/{ids["failing"]}"' in told
    assert "not yet decided" in told
    changes = client.get("/desk/audit", headers=HTML).text
    assert "&lt;owner&gt;" in changes
    assert 'by: ["hand"]' in changes.replace("&#34;", '"')
    planned = client.get("/desk/schedules", headers=HTML).text
    assert "DU1000003" in planned
    assert 'data-method="DELETE" data-path="/schedules/' in planned
    assert f'href="/events/{ids["waiting"]}"' in client.get("/desk/signals", headers=HTML).text
    assert "No such signal" in client.get("/desk/signals?state=quarantined", headers=HTML).text


def test_gaps_say_what_was_done_and_what_they_mean(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        session.add(Channel(channel="blend", baseline_at=NOON, complete_at=NOON, heard_until=NOON))
        session.flush()
        event_id = add_event(session, "DU1000003", command="print-rebalance")
        answer = session.scalars(select(SignalEvent.signal_id).where(SignalEvent.event_id == event_id)).one()
        session.execute(update(Signal).where(Signal.id == answer).values(channel="blend", command="print-rebalance"))
        for number, minutes in enumerate((10, 50, 70)):
            at = NOON + timedelta(minutes=minutes)
            facts = {"state": "accepted", "payload": {}, "published_at": at, "received_at": NOON + timedelta(hours=1)}
            session.add(Signal(channel="blend", message_id=f"m{number}", command="print-equity", **facts))
        for day, facts in enumerate(
            (
                {"answered_at": NOON, "remark": "the strategy rebalanced: 1 account", "signal_id": answer},
                {"answered_at": NOON, "remark": "CATCH_UP_AFTER_GAP is off"},
                {},
            )
        ):
            since = NOON + timedelta(days=day)
            session.add(GapRow(channel="blend", since=since, until=since + timedelta(hours=1), **facts))
    shown = client.get("/desk/signals", headers=HTML).text
    newest, switched_off, answered = shown.partition('class="record stack gaps"')[2].split("<tr>")[2:5]
    assert "A rebalance may be missing" in newest
    assert "CATCH_UP_AFTER_GAP is off" in switched_off
    assert "No account was asked for anything" in switched_off
    assert "2 messages" in answered
    assert f'<a href="/events/{event_id}">DU1000003</a> queued' in answered
    assert "Dry runs show what may have been missed" in answered
    listed = client.get("/gaps", headers=BEARER).json()
    assert [(one["fetched"], one["command"], len(one["events"])) for one in listed][-1] == (2, "print-rebalance", 1)
    assert [one["remark"] for one in listed] == [
        None,
        "CATCH_UP_AFTER_GAP is off",
        "the strategy rebalanced: 1 account",
    ]
    assert [one["id"] for one in client.get("/gaps?limit=1", headers=BEARER).json()] == [listed[0]["id"]]
    told = client.get("/health/detailed", headers=BEARER).json()["remarks"]
    assert [one.partition(":")[0] for one in told] == ["signals of blend may have been missed"]


def test_long_records_have_pages(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        for number in range(51):
            audit_log.note(session, "me", "::1", action=f"change {number}.", subject="DU1000001")
    first = client.get("/desk/audit", headers=HTML).text
    assert ("change 50." in first, "change 0." in first) == (True, False)
    older = first.partition("/desk/audit?before=")[2].partition('"')[0]
    assert "change 0." in client.get(f"/desk/audit?before={older}", headers=HTML).text


@pytest.mark.parametrize("path", ["notifications", "audit", "schedules", "signals", "settings"])
def test_they_are_locked_as_the_api_is(app_settings: Settings, path: str) -> None:
    with serving(create_app(app_settings.changed(api_reads_private=True))) as stranger:
        locked = stranger.get(f"/desk/{path}", headers={"Accept": "text/html"})
    assert (locked.status_code, "Locked" in locked.text) == (403, True)


def test_audit_needs_a_key_even_where_reading_is_open(app_settings: Settings) -> None:
    with serving(create_app(app_settings.changed(api_reads_private=False))) as stranger:
        answers = {path: stranger.get(f"/desk/{path}").status_code for path in ("audit", "signals", "settings")}
    assert answers == {"audit": 403, "signals": 200, "settings": 200}


def test_every_setting_is_shown_and_no_secret(client: httpx.Client, app_settings: Settings) -> None:
    shown = client.get("/desk/settings", headers=HTML).text
    assert [name for name in FIELDS if f"<code>{name.upper()}</code>" not in shown] == []
    assert KEY not in shown
    assert [secret for secret in app_settings.secret_values() if secret in shown] == []


def test_each_setting_says_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my.env"
    file.write_text("# mine\nSHARE_THRESHOLD=2\nREDIS_PASSWORD_FILE=secret\n")
    for name in [name for name in os.environ if name.lower() in FIELDS]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ENV_FILE", str(file))
    monkeypatch.setenv("API_PORT", "8123")
    values = {"share_threshold": 2, "api_port": 8123, "drift_band_percent": 1, "redis_password": "of-the-store"}
    found = {one.name: one for group in in_force(Settings.from_flat(values)).values() for one in group}
    assert (found["SHARE_THRESHOLD"].value, found["SHARE_THRESHOLD"].source) == ("2", f"{file}:2")
    assert (found["API_PORT"].value, found["API_PORT"].source) == ("8123", "environment")
    assert (found["DRIFT_BAND_PERCENT"].source, found["DRIFT_BAND_PERCENT"].usual) == (AT_START, False)
    assert (found["REDIS_PASSWORD"].value, found["REDIS_PASSWORD"].source) == (HIDDEN, f"{file}:3")
    assert (found["REALTIME_API_KEY"].value, found["REALTIME_API_KEY"].source) == (UNSET, DEFAULT)
    file.unlink()
    assert {one.source for group in in_force(Settings.from_flat(values)).values() for one in group} == {
        "environment",
        AT_START,
        DEFAULT,
    }
