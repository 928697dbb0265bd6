"""Held strategies on the API, the command line and the page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from typer.testing import CliRunner

from api.app import create_app
from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.domain.commands import Command
from rebalancer.domain.outcomes import FOREVER, Blocked
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.strategy_holds import CanaryTerms, StrategyGuard
from rebalancer.domain.units import Ratio
from rebalancer.ledger import canaries, events, ownership, signal_intake, strategy_holds
from rebalancer.ledger.models import Event
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from tests.contract.conftest import BEARER
from tests.serving import serving

GUARD = StrategyGuard(CanaryTerms(Ratio(Decimal("0.005")), timedelta(hours=1)))
ACCOUNTS = ("DU1000001", "DU1000002", "DU1000003")


@pytest.fixture
def guarded(app_settings: Settings, tmp_path: Path) -> Settings:
    """Three accounts of a strategy that has a canary."""
    entries = "".join(f"  - {{account_id: {one}, type: paper, strategy_name: blend}}\n" for one in ACCOUNTS)
    file = tmp_path / "accounts.yaml"
    file.write_text(f"accounts:\n{entries}strategies:\n  blend: {{canary: {{}}}}\n")
    return app_settings.changed(accounts_file=file, api_reads_private=False)


@pytest.fixture
def client(guarded: Settings) -> Iterator[httpx.Client]:
    with serving(create_app(guarded)) as client:
        yield client


@pytest.fixture
def run(guarded: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Types a command with --json."""
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file"):
        monkeypatch.setenv(name.upper(), str(guarded.flat()[name]))

    def run(*arguments: str) -> Any:
        return json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)

    return run


@pytest.fixture
def asked(ledger: Ledger) -> dict[str, UUID]:
    """The canary was removed, the second waits for it, the third has not met it yet."""
    with ledger.begin() as session:
        signal = NewSignal("blend", uuid4().hex, Command.REBALANCE, {})
        recorded = signal_intake.record(session, signal, [Addressee(one, "blend", guard=GUARD) for one in ACCOUNTS])
    served = {one.account_id: one.event_id for one in recorded.served}
    claim = ownership.claim(ledger, served["DU1000002"], "w/1/1", timedelta(minutes=1))
    assert claim is not None
    with ledger.begin() as session:
        events.hold(session, claim, Blocked(Rule.CANARY, "canary", FOREVER))
        events.remove(session, served["DU1000001"], "by Ada")
    with ledger.begin() as session:
        (hold_id,) = strategy_holds.open_ids(session)
        assert canaries.settle(session, hold_id, {"blend": GUARD}) is not None
    return served


def state(ledger: Ledger, event_id: UUID) -> str:
    with ledger.begin() as session:
        return session.get_one(Event, event_id).state


def test_a_held_strategy_is_listed_and_released_once(
    client: httpx.Client, ledger: Ledger, asked: dict[str, UUID]
) -> None:
    (hold,) = client.get("/strategy-holds").json()
    assert (hold["kind"], hold["state"], hold["account_id"]) == ("canary", "asked", "DU1000001")
    assert hold["waiting"] == ["DU1000002"]
    path = f"/strategy-holds/{hold['id']}/release"
    assert client.post(path).status_code == 403
    assert client.post(path, headers=BEARER).json() == {"message": "Released; 1 held events are due"}
    assert client.post(path, headers=BEARER).status_code == 404
    assert client.get("/strategy-holds").json() == []
    assert state(ledger, asked["DU1000002"]) == "queued"


def test_what_waits_is_withdrawn(client: httpx.Client, ledger: Ledger, asked: dict[str, UUID]) -> None:
    (hold,) = client.get("/strategy-holds").json()
    answer = client.post(f"/strategy-holds/{hold['id']}/withdraw", headers=BEARER)
    assert answer.json() == {"message": "Withdrawn; 2 events ended"}
    assert {one: state(ledger, event_id) for one, event_id in asked.items()} == {
        "DU1000001": "removed",
        "DU1000002": "removed",
        "DU1000003": "removed",
    }


def test_the_command_line_does_the_same(run: Callable[..., Any], ledger: Ledger, asked: dict[str, UUID]) -> None:
    (hold,) = run("strategy-holds")
    assert hold["reasons"] == ["it was removed before it had finished"]
    assert run("release", str(hold["id"]))["events"] == 1
    assert run("strategy-holds") == []
    assert [row["action"] for row in run("audit")] == ["release"]
    assert state(ledger, asked["DU1000002"]) == "queued"


def test_the_first_page_asks_and_is_silent_without(client: httpx.Client, asked: dict[str, UUID]) -> None:
    html = BEARER | {"Accept": "text/html"}
    page = client.get("/", headers=html).text
    assert "1 strategy waits for you" in page
    assert "1 account waits: DU1000002." in page
    assert "it was removed before it had finished" in page
    (hold,) = client.get("/strategy-holds").json()
    assert f'data-path="/strategy-holds/{hold["id"]}/withdraw"' in page
    event = client.get(f"/events/{asked['DU1000002']}", headers=html).text
    assert "release or withdraw its strategy" in event
    client.post(f"/strategy-holds/{hold['id']}/release", headers=BEARER).raise_for_status()
    page = client.get("/", headers=html).text
    assert "strategy-holds" not in page
