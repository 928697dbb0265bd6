"""Tables on a terminal of 80 columns and in a pipe: what people act on is whole, and every command takes it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text, update

from rebalancer.config.settings import Settings
from rebalancer.ledger.models import ApprovalRow, Event
from rebalancer.ledger.session import Ledger
from tests.conftest import ROOT
from tests.ledger_rows import add_event, add_traded, add_waiting, seeded
from tests.programs import CLI, completed
from tests.terminal import screenful

NAME = "Retirement of Grandmother"
ORDERS = {"MSFT": "-57372.00", "SPY": "1234567.89", "VTI": "20.00"}


@pytest.fixture
def folder(app_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where commands are typed; an account has a name."""
    file = tmp_path / "accounts.yaml"
    rows = (ROOT / "accounts.yaml").read_text()
    file.write_text(rows.replace("account_id: DU1000001\n", f"account_id: DU1000001\n    name: {NAME}\n", 1))
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    monkeypatch.setenv("ACCOUNTS_FILE", str(file))
    return tmp_path


def typed(folder: Path, *arguments: str) -> tuple[int, str]:
    """A command in a terminal of 80 columns, none of whose tables is cut or wider."""
    code, shown = screenful(folder, *arguments)
    assert "…" not in shown, shown
    table = [line for line in shown.splitlines() if not line.startswith(("Using", "weights in", "["))]
    assert [line for line in table if len(line) > 80] == [], shown
    return code, shown


def piped(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    return completed((*CLI, *arguments), environment, folder)


def first_words(shown: str, pattern: str) -> list[str]:
    return re.findall(rf"^({pattern})\b", shown, re.MULTILINE)


def test_accounts_show_ids_names_and_whole_amounts_on_the_right(folder: Path, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_traded(session, "DU1000001", equity="12345678.90")
        add_traded(session, "DU1000002", equity="99.50")
    _, shown = typed(folder, "accounts")
    assert first_words(shown, r"DU100000\d") == [f"DU100000{number}" for number in range(1, 8)]
    assert NAME.split(maxsplit=1)[0] in shown
    ends = [
        shown.splitlines()[line].index(amount) + len(amount) for line, amount in _lines(shown, "12,345,678.90", "99.50")
    ]
    assert len(set(ends)) == 1, shown


def _lines(shown: str, *amounts: str) -> list[tuple[int, str]]:
    lines = shown.splitlines()
    return [(next(at for at, line in enumerate(lines) if amount in line), amount) for amount in amounts]


def test_what_events_shows_is_what_event_and_remove_take(folder: Path, ledger: Ledger) -> None:
    made = seeded(ledger)
    _, shown = typed(folder, "events")
    short = first_words(shown, "[0-9a-f]{8}")
    assert sorted(short) == sorted(str(event_id)[:8] for event_id in made.values())
    for beginning in (str(made["traded"])[:8], str(made["traded"])[:4], str(made["traded"])[:13].upper()):
        code, told = typed(folder, "event", beginning)
        assert code == 0, told
        assert f"rebalance of DU1000001 {NAME}" in told
        assert "19,401.94" in told
    code, told = screenful(folder, "remove", str(made["waiting"])[:8])
    assert (code, "removed" in told) == (0, True)


def test_a_beginning_that_means_two_events_or_none_is_refused(folder: Path, ledger: Ledger) -> None:
    with ledger.begin() as session:
        for last, account in (("1", "DU1000001"), ("2", "DU1000002")):
            event_id = add_event(session, account)
            session.execute(text("SET CONSTRAINTS ALL DEFERRED"))
            session.execute(text("DELETE FROM signal_events WHERE event_id = :id"), {"id": event_id})
            new = UUID(f"abcdabcd-0000-4000-8000-00000000000{last}")
            session.execute(update(Event).where(Event.id == event_id).values(id=new))
    done = piped(folder, "event", "abcd")
    assert done.returncode == 2
    assert "more than one event begins with abcd" in done.stderr
    assert piped(folder, "event", "abcdabcd-0000-4000-8000-000000000001").returncode == 0
    for wrong, told in (("abc", "is no event id"), ("00000000", "no event"), ("hello", "is no event id")):
        refused = piped(folder, "event", wrong)
        assert (refused.returncode, told in refused.stderr) == (2, True), refused.stderr


def waiting(ledger: Ledger, account: str) -> UUID:
    with ledger.begin() as session:
        event_id = add_waiting(session, account)
        session.flush()
        session.execute(update(ApprovalRow).where(ApprovalRow.event_id == event_id).values(orders=ORDERS))
    return event_id


def test_approvals_show_each_order_with_its_side_and_whole_amount(folder: Path, ledger: Ledger) -> None:
    waiting(ledger, "DU1000001")
    _, shown = typed(folder, "approvals")
    orders = re.findall(r"^(SELL|BUY) +([A-Z]+) +([\d,.]+) *$", shown, re.MULTILINE)
    assert orders == [("SELL", "MSFT", "57,372.00"), ("BUY", "SPY", "1,234,567.89"), ("BUY", "VTI", "20.00")]
    assert "rebalancer approve DU1000001" in shown


def test_many_plans_take_a_line_each(folder: Path, ledger: Ledger) -> None:
    for number in range(1, 8):
        waiting(ledger, f"DU100000{number}")
    _, shown = typed(folder, "approvals")
    assert first_words(shown, r"DU100000\d") == [f"DU100000{number}" for number in range(1, 8)]
    assert len(shown.splitlines()) < 40, shown
    assert "MSFT" in typed(folder, "approvals", "DU1000003")[1]


@pytest.mark.parametrize("how", ["account", "name", "beginning"])
def test_a_plan_is_approved_by_account_name_or_the_beginning_of_its_id(folder: Path, ledger: Ledger, how: str) -> None:
    waiting(ledger, "DU1000002")
    event_id = waiting(ledger, "DU1000001")
    meant = {"account": "DU1000001", "name": NAME, "beginning": str(event_id)[:8]}[how]
    done = piped(folder, "approve", meant, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"message": "approved", "event_id": str(event_id)}
    left = json.loads(piped(folder, "approvals", "--json").stdout)
    assert [row["account_id"] for row in left] == ["DU1000002"]
    again = piped(folder, "approve", meant)
    assert (again.returncode, "waits for approval" in again.stderr) == (2, True), again.stderr


def test_an_account_whose_id_looks_like_an_event_is_not_taken_for_one(folder: Path, ledger: Ledger) -> None:
    event_id = waiting(ledger, "DU1000001")
    assert piped(folder, "reject", f"F{event_id.hex[:6]}").returncode == 2
    assert piped(folder, "reject", "DU1000003").returncode == 2
    assert piped(folder, "reject", "DU1000001").returncode == 0


def test_a_pipe_gets_whole_ids_and_lines_as_long_as_they_need(folder: Path, ledger: Ledger) -> None:
    made = seeded(ledger)
    with ledger.begin() as session:
        add_event(session, "DU1000004", state="held", rule="market_hours", reason="a long reason " * 20)
    out = piped(folder, "events").stdout
    assert "a long reason " * 19 in out
    assert str(made["traded"]) in out
    assert all(line == line.rstrip() or len(line) < 1000 for line in out.splitlines())
    assert f"DU1000001 {NAME}" in piped(folder, "accounts").stdout


def test_on_a_narrow_terminal_amounts_are_still_whole(folder: Path, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_traded(session, "DU1000001", equity="12345678.90")
    _, shown = screenful(folder, "accounts", columns=40)
    assert "12,345,678.90" in shown
    assert "…" not in shown


def test_one_weight_on_every_screen_and_cash_as_a_row(folder: Path, ledger: Ledger) -> None:
    """The exact account of the case: on target is the published number, not 0.6 less for its reserve."""
    made = seeded(ledger)
    _, told = typed(folder, "event", str(made["traded"])[:8])
    rows: dict[str, Any] = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line.endswith("%")}
    assert rows["SPY"] == ["40.4", "%", "60.0", "%", "60.0", "%"]
    assert rows["cash"] == ["59.6", "%", "40.0", "%", "0.0", "%"]
    _, held = typed(folder, "positions", "DU1000001")
    assert re.search(r"^SPY +594 +100 +60.0 % +60.0 % *$", held, re.MULTILINE), held
    assert re.search(r"^cash +40.0 % +0.0 % *$", held, re.MULTILINE), held
    shown = json.loads(piped(folder, "positions", "DU1000001", "--json").stdout)
    assert [(one["symbol"], one["current"][:4]) for one in shown["weights"]] == [
        ("SPY", "0.6"),
        ("TLT", "0"),
        ("cash", "0.39"),
    ]
