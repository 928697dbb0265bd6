"""The command line's output for scripts: JSON and exit codes."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from typer.testing import CliRunner

from rebalancer.cli.main import app
from rebalancer.cli.scripting import _changed
from rebalancer.ledger import views
from rebalancer.ledger.session import Ledger
from rebalancer.settings import Settings
from tests.ledger_rows import seeded


@pytest.fixture
def run(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command; gives its exit code and what it printed as JSON."""
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(getattr(app_settings, name)))

    def run(*arguments: str) -> tuple[int, Any]:
        done = CliRunner().invoke(app, arguments)
        return done.exit_code, json.loads(done.stdout)

    return run


def test_events_are_listed_as_json(run: Any, ledger: Ledger) -> None:
    made = seeded(ledger)
    code, shown = run("events", "--json", "--account", "DU1000002")
    assert (code, shown[0]["event_id"], shown[0]["state"]) == (0, str(made["failing"]), "retrying")


def test_accounts_are_listed_as_json(run: Any) -> None:
    code, shown = run("accounts", "--json")
    assert (code, shown[2]["account_id"], shown[2]["cash_reserve_percent"]) == (0, "DU1000003", "1.5")


def test_the_doctor_names_what_is_wrong_and_how_to_repair_it(run: Any) -> None:
    code, shown = run("doctor", "--json")
    found = {check["name"]: check for check in shown}
    assert code == 1
    assert found["database"]["ok"]
    assert found["redis"]["ok"]
    assert "add it to .env" in found["ALLOCATIONS_API_KEY"]["detail"]
    assert "start `celery -A tasks beat`" in found["dispatcher"]["detail"]


def test_followed_events_are_told_once_per_change(ledger: Ledger) -> None:
    seeded(ledger)
    seen: dict[Any, str] = {}
    with ledger.begin() as session:
        rows = views.recent_events(session, 10)
    assert len(_changed(rows, seen)) == 3
    assert _changed(rows, seen) == []
