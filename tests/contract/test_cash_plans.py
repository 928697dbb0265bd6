"""Cash by a day, and what came or went, on the API, the command line and the page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.ledger import account_snapshots
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import NOON, add_event

HTML = BEARER | {"Accept": "text/html"}
PLAN = {"account_id": "DU1000001", "amount": 5000, "by": "2199-12-30"}


@pytest.fixture
def typed(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_a_plan_is_made_shown_and_cancelled(client: httpx.Client) -> None:
    assert client.post("/cash-plans", json=PLAN).status_code == 403
    made = client.post("/cash-plans", json=PLAN, headers=BEARER).json()
    assert (made["state"], made["sells_at"][:10], made["event_id"]) == ("planned", "2199-12-26", None)
    assert client.get("/cash-plans").json() == [made]
    page = client.get("/desk/schedules", headers=HTML).text
    assert "Cash that is to be settled by a day" in page
    assert f'data-path="/cash-plans/{made["id"]}"' in page
    assert client.delete(f"/cash-plans/{made['id']}", headers=BEARER).json() == {"message": "cancelled"}
    assert client.delete(f"/cash-plans/{made['id']}", headers=BEARER).status_code == 404
    assert client.get("/cash-plans").json() == []
    assert "Cash that is to be settled" not in client.get("/desk/schedules", headers=HTML).text


@pytest.mark.parametrize(
    ("wrong", "status"),
    [({"amount": 0}, 422), ({"amount": "NaN"}, 422), ({"by": "2020-01-01"}, 422), ({"account_id": "DU9"}, 404)],
)
def test_a_wrong_plan_is_refused(client: httpx.Client, wrong: dict[str, Any], status: int) -> None:
    assert client.post("/cash-plans", json=PLAN | wrong, headers=BEARER).status_code == status
    assert client.get("/cash-plans").json() == []


def test_the_command_line_does_the_same(typed: Callable[..., Any]) -> None:
    assert "No cash is to be raised." in typed("cash-plans", "list").stdout
    made = json.loads(typed("raise-cash", "DU1000001", "5000", "--by", "2199-12-30", "--json").stdout)
    assert json.loads(typed("cash-plans", "list", "--json").stdout)[0]["amount"] == "5000"
    assert "5,000.00" in typed("cash-plans", "list").stdout
    assert "cancelled" in typed("cash-plans", "cancel", str(made["number"])).stdout
    assert [row["action"] for row in json.loads(typed("audit", "--json").stdout)] == ["cancel-cash", "raise-cash"]
    for amount in ("0", "x", "NaN"):
        assert "above 0" in str(typed("raise-cash", "DU1000001", amount, "--by", "2199-12-30").exception)
    assert "give that day or a later one" in str(typed("raise-cash", "DU1000001", "1", "--by", "2020-01-01").exception)


def test_without_a_day_it_is_sold_now(typed: Callable[..., Any]) -> None:
    asked = json.loads(typed("raise-cash", "DU1000001", "5000", "--json").stdout)
    assert asked["created"] is True
    assert json.loads(typed("cash-plans", "list", "--json").stdout) == []


def test_what_came_or_went_is_shown_where_there_is_something(
    client: httpx.Client, typed: Callable[..., Any], ledger: Ledger
) -> None:
    assert "Cash that came or went" not in client.get("/account/DU1000001", headers=HTML).text
    with ledger.begin() as session:
        for days, cash in enumerate((10_000, 15_000)):
            account_snapshots.keep(
                session,
                account_id="DU1000001",
                event_id=add_event(session, command="print-equity", state="succeeded"),
                attempt=1,
                moment="before",
                at=NOON + timedelta(days=days),
                net_liquidation=Decimal(100_000),
                cash=Decimal(cash),
                positions=[],
            )
    (flow,) = client.get("/accounts/DU1000001/cash-flows").json()
    assert (flow["kind"], flow["amount"]) == ("deposit", 5000.0)
    assert client.get("/accounts/DU9/cash-flows").status_code == 404
    page = client.get("/account/DU1000001", headers=HTML).text
    assert "Cash that came or went" in page
    assert "+$5,000.00" in page
    assert "+5,000.00" in typed("cash-flows", "DU1000001").stdout
    _more_than_there_is(client, typed)


def _more_than_there_is(client: httpx.Client, typed: Callable[..., Any]) -> None:
    """Refused at once: on the day of its sale nobody could do anything about it."""
    said = "100,000.00 USD cannot be raised: DU1000001 was worth 100,000.00 USD at its newest look"
    assert said in str(typed("raise-cash", "DU1000001", "100000", "--by", "2199-12-30").exception)
    assert client.post("/cash-plans", json=PLAN | {"amount": 100_000}, headers=BEARER).status_code == 422
    assert client.post("/cash-plans", json=PLAN | {"amount": 99_999}, headers=BEARER).status_code == 200
