"""The command line's output for scripts: JSON and exit codes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from rebalancer.cli.main import app
from rebalancer.cli.output import _changed
from rebalancer.config.settings import Settings
from rebalancer.domain.commands import read_payload
from rebalancer.domain.errors import RebalancerError, RequestRefused
from rebalancer.ledger import halts
from rebalancer.ledger.models import Attempt, Channel, DeliveryRow, Event, GapRow, NoticeRow, Signal
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.session import Ledger
from tests.ledger_rows import NOON, add_event, add_waiting, seeded
from tests.terminal import terminal

Type = Callable[..., Any]
Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def typed(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command; ``answer`` is what a person answers to a question."""
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    return lambda *arguments, answer="": CliRunner().invoke(app, arguments, input=answer)


@pytest.fixture
def run(typed: Type) -> Run:
    """Runs a command with --json; gives its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, Any]:
        done = typed(*arguments, "--json")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.stdout)

    return run


def test_events_are_listed_as_json(run: Run, ledger: Ledger) -> None:
    made = seeded(ledger)
    code, shown = run("events", "--account", "DU1000002")
    assert (code, shown[0]["event_id"], shown[0]["state"]) == (0, str(made["failing"]), "retrying")
    assert [one["state"] for one in run("events", "--state", "succeeded")[1]] == ["succeeded"]


def test_accounts_are_listed_with_what_is_on_record(run: Run, typed: Type, ledger: Ledger) -> None:
    seeded(ledger)
    code, shown = run("accounts")
    assert (code, shown[2]["account_id"], shown[2]["cash_reserve_percent"]) == (0, "DU1000003", "1.5")
    assert (shown[0]["net_liquidation"], shown[0]["gain_today"], shown[1]["next_state"]) == (
        "100000.00",
        None,
        "retrying",
    )
    assert "100,000.00" in typed("accounts").stdout


def test_without_a_ledger_the_configuration_is_still_listed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg2://postgres@127.0.0.1:1/x")
    code, shown = run("accounts")
    assert (code, len(shown)) == (0, 7)


def test_an_event_is_told_with_attempts_plan_orders_and_fills(run: Run, typed: Type, ledger: Ledger) -> None:
    made = seeded(ledger)
    _, shown = run("event", str(made["traded"]))
    (attempt,) = shown["attempts"]
    assert attempt["plan"]["orders"][0]["symbol"] == "SPY"
    assert [fill["quantity"] for fill in attempt["orders"][0]["fills"]] == ["100", "94"]
    told = typed("event", str(made["traded"])).stdout
    for text in ("rebalance of DU1000001", "signal from", "BUY SPY", "194 in 2 fills", "60.0 %", "below its target"):
        assert text in told
    assert "attempt 2: failed: GatewayUnavailable: away" in typed("event", str(made["failing"])).stdout


def test_an_event_of_a_blend_says_which_member_moved_what(typed: Type, ledger: Ledger) -> None:
    made = seeded(ledger)
    member = {"share": "0.6", "as_of": "2026-11-23", "frozen": None}
    with ledger.begin() as session:
        attempt = session.scalars(select(Attempt).where(Attempt.event_id == made["traded"])).one()
        targets = {**attempt.inputs["targets"], "members": {"a": member}, "moved": {"a": {"SPY": "0.06"}}}
        attempt.inputs = {**attempt.inputs, "targets": targets}
    told = typed("event", str(made["traded"])).stdout
    assert "a, 60.0 %: as of 2026-11-23; moved SPY +6.0 % of the account" in " ".join(told.split())


def test_signals_positions_and_value_are_those_on_record(run: Run, typed: Type, ledger: Ledger) -> None:
    made = seeded(ledger)
    _, signals = run("signals")
    assert [one["events"][0]["event_id"] for one in signals] == [
        str(made[name]) for name in ("waiting", "failing", "traded")
    ]
    assert run("signals", "--state", "quarantined") == (0, [])
    assert run("positions", "DU1000001")[1]["positions"][0]["quantity"] == "594"
    assert run("value", "DU1000001")[1]["cash"] == "40599"
    assert "594" in typed("positions", "DU1000001").stdout
    assert "40,599.00 USD" in typed("value", "DU1000001").stdout


@pytest.mark.parametrize(
    "command",
    ["channels", "gaps", "audit", "halts", "approvals", "strategy-holds", "schedule list", "signals", "events"],
)
def test_nothing_is_an_empty_list_and_a_sentence(run: Run, typed: Type, command: str) -> None:
    assert run(*command.split()) == (0, [])
    assert typed(*command.split()).stdout.strip().endswith((".", "listener."))


def test_what_a_person_does_is_done_and_on_record(run: Run, ledger: Ledger) -> None:
    made = seeded(ledger)
    with ledger.begin() as session:
        asked = str(add_waiting(session, "DU1000004"))
    submitted = run("submit", "DU1000005", "print-equity")[1]
    assert submitted["created"] is True
    assert run("submit", "DU1000005", "print-equity")[1]["created"] is False
    assert run("halt", "DU1000006", "--reason", "travelling")[1]["made"] is True
    assert run("halts")[1][0]["reason"] == "travelling"
    assert run("resume", "DU1000006")[1]["events"] == 0
    assert run("approvals")[1][0]["event_id"] == asked
    assert run("approve", asked)[1]["message"] == "approved"
    number = run("schedule", "add", "DU1000001", "daily")[1]["number"]
    changed = run("schedule", "change", str(number), "weekly", "--on", "2199-12-30")[1]["number"]
    (schedule,) = run("schedule", "list")[1]
    assert (schedule["id"], schedule["recurrence"], schedule["first_on"]) == (changed, "weekly", "2199-12-30")
    assert (schedule["account_id"], schedule["command"]) == ("DU1000001", "rebalance"), "as before"
    assert run("schedule", "remove", str(changed))[1]["message"] == "removed"
    assert run("remove", str(made["waiting"]))[1]["state"] == "removed"
    assert len(run("remove", "--all", "--yes")[1]["event_ids"]) == 3
    assert run("health")[1]["queue"]["by_state"] == {}
    done = [(row["action"], row["subject"]) for row in run("audit")[1]][::-1]
    assert done == [
        ("print-equity", "DU1000005"),
        ("print-equity", "DU1000005"),
        ("halt", "DU1000006"),
        ("resume", "DU1000006"),
        ("approve", asked),
        ("schedule", "DU1000001"),
        ("schedule", "DU1000001"),
        ("unschedule", str(changed)),
        ("remove", str(made["waiting"])),
        ("remove", "all events"),
    ]
    assert all("on the command line" in row["actor"] for row in run("audit")[1])


def test_a_schedule_that_cannot_be_changed_stays_as_it_was(run: Run, typed: Type) -> None:
    number = str(run("schedule", "add", "DU1000001", "daily")[1]["number"])
    for words, why in (
        (("999", "weekly"), "no schedule 999"),
        ((number, "once", "--on", "2020-01-02"), "that market open has passed"),
        ((number, "--command", "print-equity"), "print-equity cannot be scheduled"),
    ):
        assert why in str(typed("schedule", "change", *words).exception)
    assert [row["recurrence"] for row in run("schedule", "list")[1]] == ["daily"]


def test_gaps_are_listed_with_what_was_done(run: Run, typed: Type, ledger: Ledger) -> None:
    with ledger.begin() as session:
        session.add(Channel(channel="blend", baseline_at=NOON, complete_at=NOON, heard_until=NOON))
        session.flush()
        until = NOON + timedelta(hours=1)
        session.add(GapRow(channel="blend", since=NOON, until=until, remark="asked for dry runs"))
    assert run("gaps")[1][0]["remark"] == "asked for dry runs"
    assert "blend" in typed("gaps").stdout


def test_an_event_says_its_login_where_there_are_several(run: Run, typed: Type, ledger: Ledger) -> None:
    made = seeded(ledger)
    event_id = str(made["waiting"])
    assert run("event", event_id)[1]["event"]["gateway"] == "main"
    assert "login:" not in typed("event", event_id).stdout
    with ledger.begin() as session:
        session.execute(update(Event).where(Event.id == made["waiting"]).values(gateway="partner"))
    assert "login: partner" in typed("event", event_id).stdout


def test_nothing_runs_in_a_folder_that_was_never_used(run: Run, tmp_path: Any) -> None:
    assert run("ps", "--data", str(tmp_path / "data")) == (1, {"stopping": False, "programs": []})


def test_removing_everything_asks_first(typed: Type, ledger: Ledger) -> None:
    seeded(ledger)
    refused = typed("remove", "--all", answer="n\n")
    assert refused.exit_code == 1
    assert "End 2 active events" in refused.output
    assert "2 events ended" in typed("remove", "--all", answer="y\n").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("remove",), "name one event"),
        (("remove", str(uuid4()), "--all"), "name one event"),
        (("remove", str(uuid4())), "no active event"),
        (("event", str(uuid4())), "no event"),
        (("positions", "DU9"), "DU9 is not configured"),
        (("value", "DU1000007"), "--fresh"),
        (("submit", "DU1000001", "buy"), "known are rebalance"),
        (("rebalance", "DU9"), "DU9 is not configured"),
        (("approve", str(uuid4())), "rebalancer approvals"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_remedy(typed: Type, arguments: tuple[str, ...], told: str) -> None:
    error = typed(*arguments).exception
    assert isinstance(error, RequestRefused | RebalancerError)
    assert told in str(error)


def test_real_money_moves_only_after_the_account_was_typed(
    typed: Type, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    file = tmp_path / "accounts.yaml"
    file.write_text("accounts:\n  - {account_id: U1000001, type: live, strategy_name: etf-blend-301-20}\n")
    for name, text in {"TRADING_MODE": "live", "IB_PORT": "4001", "ACCOUNTS_FILE": str(file)}.items():
        monkeypatch.setenv(name, text)
    assert isinstance(typed("rebalance", "U1000001", "--wait", "0", answer="yes\n").exception, RequestRefused)
    assert run("events") == (0, [])
    assert typed("rebalance", "U1000001", "--wait", "0", answer="U1000001\n").exit_code == 0
    assert [one["exec_command"] for one in run("events")[1]] == ["rebalance"]


def test_who_waits_in_vain_is_told_why_with_exit_code_1(typed: Type) -> None:
    done = typed("rebalance", "DU1000001", "--dry-run", "--wait", "0.1")
    assert done.exit_code == 1
    assert "queued: new" in done.stdout
    assert "rebalancer event" in done.stdout


def test_the_doctor_names_what_is_wrong_and_how_to_repair_it(run: Run) -> None:
    code, shown = run("doctor")
    found = {check["name"]: check for check in shown}
    assert code == 1
    for name in ("database", "redis", "schema", "disk"):
        assert found[name]["ok"], found[name]
    assert "add it to .env" in found["ALLOCATIONS_API_KEY"]["detail"]
    assert "start `celery -A tasks beat`" in found["dispatcher"]["detail"]
    assert "start the IB Gateway" in found["gateway login"]["detail"]


def test_the_shell_completes_commands_and_accounts(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, expected in (("rebalancer pos", "positions"), ("rebalancer halt DU10000", "DU1000007")):
        monkeypatch.setenv("_REBALANCER_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        done = CliRunner().invoke(app, [], prog_name="rebalancer")
        assert expected in done.stdout.split()


def test_who_waits_at_a_terminal_sees_how_it_goes(typed: Type, tmp_path: Any) -> None:
    del typed  # its environment
    with terminal(tmp_path, "rebalance", "DU1000001", "--dry-run", "--wait", "30") as shown:
        shown.until("print-rebalance of DU1000001: queued")
        assert shown.interrupt() == 130


def test_the_watch_shows_accounts_and_queue_until_ctrl_c(typed: Type, ledger: Ledger, tmp_path: Any) -> None:
    del typed
    seeded(ledger)
    with terminal(tmp_path, "watch", "--every", "0.2") as shown:
        for text in ("not ready", "New York (local ", "FAIL", "Accounts", "DU1000007", "Queue", "retrying"):
            shown.until(text)
        assert shown.interrupt() == 0


def test_what_the_page_says_first_is_said_here_too(run: Run, typed: Type, ledger: Ledger, tmp_path: Any) -> None:
    """What hinders no signal is said beside the checks: a misspelt command, a letter that stays, a plan, a halt."""
    with ledger.begin() as session:
        add_waiting(session)
        halts.halt(session, "DU1000002", "fire drill", "ada")
        notice = NoticeRow(at=NOON, kind="halted", detail={}, routed_at=NOON)
        session.add(notice)
        session.flush()
        session.add(DeliveryRow(notice_id=notice.id, target="phone", box="x", due_at=NOON, tries=4, last_error="403"))
        misspelt = {"exec": "Rebalance"}
        facts = {"state": "accepted", "command": "print-rebalance", "remark": read_payload(misspelt).remark}
        session.add(Channel(channel="blend", baseline_at=NOON, complete_at=NOON, heard_until=NOON))
        session.add(Signal(channel="blend", message_id="m", payload=misspelt, **facts))
    code, shown = run("health")
    assert code == 1
    names = [one["name"] for one in shown["remarks"]]
    assert names == ["notifications to phone are not delivered", "the last signal of blend was not understood"]
    said = typed("health").stdout
    for text in ("Not ready: ", "1 plan waits for you", "WARN notifications to phone", "403", "of blend"):
        assert text in said
    with terminal(tmp_path, "watch", "--every", "0.2") as told:
        for text in (
            "Halted",
            "1 plan waits for you",
            "of blend was not understood: ",
            "DU1000002 by ada: fire drill",
        ):
            told.until(text)
        assert told.interrupt() == 0


def test_a_watch_that_needs_more_lines_than_there_are_turns_its_pages(
    typed: Type, ledger: Ledger, tmp_path: Any
) -> None:
    del typed
    with ledger.begin() as session:
        for number in range(40):
            add_event(session, f"DU2{number:06}")
    with terminal(tmp_path, "watch", "--every", "30") as shown:
        shown.until("lines 1 to 21 of ")
        for key, part in ((" ", "lines 22 to 42 of "), ("\x1b[B", "lines 35 to 55 of 55"), ("b", "lines 14 to 34 of ")):
            shown.press(key)
            shown.until(part)
        assert shown.interrupt() == 0


def test_what_is_followed_is_told_as_it_happens(typed: Type, ledger: Ledger, tmp_path: Any) -> None:
    del typed
    with terminal(tmp_path, "events", "--follow") as shown:
        shown.until("Following")
        with ledger.begin() as session:
            add_event(session, "DU1000006", command="print-orders")
        shown.until(" New York  DU1000006 print-orders queued")
        assert shown.interrupt() == 0


def test_followed_events_are_told_once_per_change(ledger: Ledger) -> None:
    seeded(ledger)
    seen: dict[Any, str] = {}
    with ledger.begin() as session:
        rows = event_search.recent_events(session, 10)
    assert len(_changed(rows, seen)) == 3
    assert _changed(rows, seen) == []
