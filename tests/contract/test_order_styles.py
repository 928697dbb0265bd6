"""What order styles cost and how each order was worked, alike wherever it is shown; nothing of it without a style."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.ledger.models import Attempt, Order
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.integration.ledger.test_costs import QUOTES, traded
from tests.ledger_rows import INPUTS
from tests.terminal import screenful

HTML = BEARER | {"Accept": "text/html"}
LATELY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=10)
WHY = "midprice by account, but the market says no"
SPY, MSFT = 194 * Decimal("0.02") + 1, 138 * Decimal("0.04") + 1
"""USD, as in the tests of costs."""
Type = Callable[..., Result]


@pytest.fixture
def event_id(ledger: Ledger) -> UUID:
    """A run that bought SPY patiently, and sold MSFT at once though it should have been otherwise."""
    with ledger.begin() as session:
        made = traded(session, at=LATELY)
        session.execute(update(Attempt).values(inputs=INPUTS | {"quotes": QUOTES}))
    return made


@pytest.fixture
def styled(event_id: UUID, ledger: Ledger) -> UUID:
    worked = {"SPY": ("adaptive-normal", "account", None), "MSFT": ("market", WHY, "midprice")}
    with ledger.begin() as session:
        for symbol, (style, why, instead_of) in worked.items():
            values = {"style": style, "style_why": why, "style_instead_of": instead_of}
            session.execute(update(Order).where(Order.symbol == symbol).values(values))
    return event_id


@pytest.fixture
def typed(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Type:
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.mark.usefixtures("styled")
def test_command_line_api_and_page_compare_styles_alike(typed: Type, client: httpx.Client) -> None:
    shown = json.loads(typed("costs", "--by", "style", "--json").stdout)["styles"]
    answered = client.get("/costs/styles", headers=BEARER).raise_for_status().json()
    assert [set(one) for one in shown] == [set(one) for one in answered]
    for found in (shown, answered):
        rows = {one["style"]: one for one in found}
        assert {one["month"] for one in found} == {f"{LATELY:%Y-%m}"}
        assert Decimal(str(rows["adaptive-normal"]["cost"])) == SPY
        assert Decimal(str(rows["market"]["cost"])) == MSFT
        assert (rows["midprice"]["orders"], rows["midprice"]["fell_back"]) == (0, 1)
        assert Decimal(str(rows["adaptive-normal"]["filled"])) == 1
    table = typed("costs", "--by", "style").stdout
    assert "adaptive-normal" in table
    assert "fell back" in table
    page = client.get("/money/costs", headers=HTML).raise_for_status().text
    assert "By order style" in page
    assert page.count(">adaptive-normal<") == 1


def test_an_event_and_its_orders_say_how_they_were_worked(typed: Type, client: httpx.Client, styled: UUID) -> None:
    told = typed("event", str(styled)).stdout
    assert "; adaptive-normal: account" in told
    assert f"; market: {WHY}" in told
    page = client.get(f"/events/{styled}", headers=HTML).raise_for_status().text
    assert "; adaptive-normal: account" in page
    (attempt,) = client.get(f"/queue/events/{styled}", headers=BEARER).raise_for_status().json()["attempts"]
    orders = {one["symbol"]: one for one in attempt["orders"]}
    assert (orders["MSFT"]["style"], orders["MSFT"]["style_instead_of"]) == ("market", "midprice")
    rows = list(csv.DictReader(io.StringIO(client.get("/csv/orders", headers=BEARER).text)))
    assert {row["symbol"]: row["style_why"] for row in rows} == {"SPY": "account", "MSFT": WHY}


@pytest.mark.usefixtures("event_id")
def test_without_a_style_nothing_of_it_is_shown(typed: Type, client: httpx.Client) -> None:
    assert "By order style" not in client.get("/money/costs", headers=HTML).raise_for_status().text
    assert "style" not in client.get("/csv/orders", headers=BEARER).text.splitlines()[0]
    (row,) = json.loads(typed("costs", "--by", "style", "--json").stdout)["styles"]
    assert (row["style"], row["orders"], row["fell_back"]) == ("market", 2, 0)
    month = f"{LATELY:%Y-%m}"
    assert "Order styles" not in typed("letter", "--month", month).stdout
    (told,) = json.loads(typed("letter", "--month", month, "--json").stdout)["accounts"].values()
    assert "styles" not in told


@pytest.mark.usefixtures("styled")
def test_a_letter_compares_the_styles_of_its_month(typed: Type, tmp_path: Path) -> None:
    month = f"{LATELY:%Y-%m}"
    told = typed("letter", "--month", month).stdout
    assert "Order styles" in told
    assert "adaptive-normal" in told
    file = tmp_path / "letter.pdf"
    assert typed("letter", "--month", month, "--pdf", str(file)).exit_code == 0
    assert file.read_bytes().startswith(b"%PDF-")


def test_where_nothing_was_sent_there_is_nothing_to_compare(typed: Type) -> None:
    assert "Nothing was sent" in typed("costs", "--by", "style").stdout


@pytest.mark.usefixtures("styled", "typed")
def test_a_terminal_of_80_columns_shows_whole_lines(tmp_path: Path) -> None:
    code, shown = screenful(tmp_path, "costs", "--by", "style")
    assert code == 0, shown
    table = [line for line in shown.splitlines() if not line.startswith("Using")]
    assert "fell back" in shown
    assert [line for line in table if len(line) > 80 or "…" in line] == []
