"""What trading cost, alike on page, command line, API and in a spreadsheet; nothing of it where nobody asked for it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from api.app import create_app
from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.integration.ledger.test_costs import traded
from tests.ledger_rows import SWITCH
from tests.serving import serving
from tests.terminal import screenful

HTML = BEARER | {"Accept": "text/html"}
LATELY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=10)
SPY, MSFT = 194 * Decimal("0.02") + 1, 138 * Decimal("0.04") + 1
"""USD: a cent of spread and a cent of impact, three cents and one; and two commissions of 0.50 each."""
Type = Callable[..., Result]


@pytest.fixture
def typed(app_settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command where two accounts have traded alike, and one long ago."""
    with ledger.begin() as session:
        for account_id in ("DU1000001", "DU1000002"):
            traded(session, at=LATELY, account_id=account_id)
        traded(session, at=LATELY - timedelta(days=200))
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    return lambda *arguments: CliRunner().invoke(app, ["costs", *arguments])


def test_command_line_api_and_spreadsheet_say_the_same(typed: Type, client: httpx.Client) -> None:
    shown = json.loads(typed("--by", "symbol", "--json").stdout)
    answered = client.get("/costs?by=symbol", headers=BEARER).raise_for_status().json()
    assert shown["together"].keys() == answered["together"].keys()
    for found in (shown, answered):
        assert [(one["key"], one["orders"]) for one in found["parts"]] == [("MSFT", 2), ("SPY", 2)]
        assert [Decimal(str(one["cost"])) for one in found["parts"]] == [2 * MSFT, 2 * SPY]
        assert Decimal(str(found["together"]["cost"])) == 2 * (MSFT + SPY)
        assert Decimal(str(found["together"]["filled"])) == 1
    rows = list(csv.DictReader(io.StringIO(client.get("/csv/costs", headers=BEARER).raise_for_status().text)))
    assert sum(Decimal(row["cost"]) for row in rows) == 3 * (MSFT + SPY)
    for row in rows:
        assert sum(Decimal(row[part]) for part in ("delay", "spread", "impact", "commission")) == Decimal(row["cost"])
    assert {row["ask"] for row in rows if row["symbol"] == "SPY"} == {"100.00"}


def test_an_order_is_told_with_what_it_was_measured_against(typed: Type, client: httpx.Client) -> None:
    orders = json.loads(typed("--by", "order", "--limit", "2", "--json").stdout)["orders"]
    answered = client.get("/costs/orders?limit=2", headers=BEARER).raise_for_status().json()
    assert [one["order_ref"] for one in answered] == [one["order_ref"] for one in orders]
    assert [one.keys() for one in answered] == [one.keys() for one in orders]
    (spy,) = [one for one in answered if one["symbol"] == "SPY"]
    assert (spy["bid"], spy["ask"], spy["sized_at"], spy["average_price"]) == (99.98, 100.0, 100.0, 100.01)
    assert (spy["delay"], spy["spread"], spy["impact"], spy["commission"]) == (0, 1.94, 1.94, 1.0)


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("month", [f"{LATELY:%Y-%m}"]),
        ("account", ["DU1000001", "DU1000002"]),
        ("run", None),
        ("order", None),
    ],
)
def test_each_kind_of_line_fits_its_table(typed: Type, by: str, keys: list[str] | None) -> None:
    done = typed("--by", by)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split()[0] == ("at," if by == "order" else by)
    if keys is not None:
        assert [line.split()[0] for line in lines[1 : len(keys) + 1]] == keys
    if by != "order":
        assert f"together: cost {2 * (MSFT + SPY):,.2f} USD, 1.5 bp of what was traded" in done.stdout


def test_spans_and_accounts_are_chosen(typed: Type, client: httpx.Client) -> None:
    def orders(*arguments: str) -> int:
        found: int = json.loads(typed(*arguments, "--json").stdout)["together"]["orders"]
        return found

    long_ago = LATELY - timedelta(days=200)
    assert (orders(), orders("--account", "DU1000001"), orders("--since", f"{long_ago:%Y-%m-%d}")) == (4, 2, 6)
    assert orders("--since", f"{long_ago:%Y-%m-%d}", "--until", f"{long_ago:%Y-%m-%d}") == 2
    asked = f"/costs?account_id=DU1000001&since={long_ago:%Y-%m-%d}&until={long_ago:%Y-%m-%d}"
    assert client.get(asked, headers=BEARER).json()["together"]["orders"] == 2
    assert typed("--since", "2020-01-01", "--until", "2020-01-02").stdout.strip() == "Nothing was sent in that time."
    refused = typed("--account", "DU9")
    assert "DU9" in str(refused.exception)
    assert typed("--since", "yesterday").exit_code == 2


def test_the_page_shows_sums_orders_and_what_is_left_out(typed: Type, client: httpx.Client, ledger: Ledger) -> None:
    del typed
    with ledger.begin() as session:
        traded(session, {}, at=LATELY, plan=SWITCH, account_id="DU1000003")
    for by in ("symbol", "month", "account", "run"):
        shown = client.get(f"/money/costs?by={by}&span=1M", headers=HTML).raise_for_status().text
        assert f"${2 * (MSFT + SPY):,.2f}" in shown
        assert "2 orders without a quote on record: left out." in shown
        assert shown.count(">unknown<") == 2
    one = client.get("/money/costs?account_id=DU1000001", headers=HTML).text
    assert f"${MSFT + SPY:,.2f}" in one
    assert 'href="/csv/costs?account_id=DU1000001"' in one


def test_nobody_is_shown_it_who_may_not_read(app_settings: Settings) -> None:
    with serving(create_app(app_settings)) as stranger:
        paths = ("/money/costs", "/csv/costs", "/costs", "/costs/orders")
        assert [stranger.get(path).status_code for path in paths] == [403] * len(paths)


@pytest.mark.parametrize("quality", [False, True])
def test_the_money_page_leads_to_it_where_the_owner_wants_it(app_settings: Settings, quality: bool) -> None:
    with serving(create_app(app_settings.changed(execution_quality=quality))) as client:
        shown: Any = client.get("/money", headers=HTML).raise_for_status().text
    assert ('href="/money/costs"' in shown) is quality


@pytest.mark.parametrize("by", ["month", "symbol", "account", "run", "order"])
@pytest.mark.usefixtures("typed")
def test_a_terminal_of_80_columns_shows_whole_lines(tmp_path: Path, by: str) -> None:
    code, shown = screenful(tmp_path, "costs", "--by", by)
    assert code == 0, shown
    table = [line for line in shown.splitlines() if not line.startswith(("Using", "together", "of ten"))]
    assert "spread  impact" in shown
    assert [line for line in table if len(line) > 80 or "…" in line] == []
