"""`rebalancer gains`: every sale of a year, lot by lot, from the ledger."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.ledger.models import FillRow
from rebalancer.ledger.session import Ledger
from tests.ledger_rows import add_traded

LAST_YEAR, SPRING = datetime(2025, 11, 3, 16, tzinfo=UTC), datetime(2026, 4, 1, 16, tzinfo=UTC)


def gains(*options: str) -> Result:
    return CliRunner().invoke(app, ["gains", *options], catch_exceptions=False)


@pytest.fixture
def sold(ledger: Ledger, app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was bought in autumn for 500 USD a share and a dollar each time is sold in spring for 450."""
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    with ledger.begin() as session:
        add_traded(session, at=LAST_YEAR)
        add_traded(session, at=SPRING)
        session.flush()
        session.execute(update(FillRow).values(price=500, commission=1, currency="USD", symbol="SPY", side="BUY"))
        session.execute(update(FillRow).where(FillRow.at >= SPRING).values(side="SELL", price=450))


@pytest.mark.usefixtures("sold")
def test_a_year_is_told_to_the_cent(ledger: Ledger) -> None:
    with ledger.begin() as session:
        rows = session.query(FillRow).all()
        brought = sum((one.quantity * one.price - 1 for one in rows if one.side == "SELL"), Decimal(0))
        spent = sum((one.quantity * one.price + 1 for one in rows if one.side == "BUY"), Decimal(0))
    lots = json.loads(gains("--year", "2026", "--json").stdout)
    assert sum(Decimal(one["gain"]) for one in lots) == brought - spent
    assert {one["term"] for one in lots} == {"short"}
    text = gains("--year", "2026").stdout
    assert f"In all {brought - spent:,.2f} USD" in text
    assert "DU1000001" in text
    table = list(csv.DictReader(io.StringIO(gains("--year", "2026", "--csv").stdout)))
    assert sum(Decimal(one["gain"]) for one in table) == brought - spent
    assert {(one["opened"], one["closed"]) for one in table} == {("2025-11-03", "2026-04-01")}
    assert {one["source"] for one in table} == {"executions"}


@pytest.mark.usefixtures("sold")
def test_another_year_or_account_has_none() -> None:
    assert "Nothing was sold in 2025." in gains("--year", "2025").stdout
    assert "Nothing was sold in 2026." in gains("--year", "2026", "--account", "DU1000002").stdout
    assert json.loads(gains("--year", "2025", "--json").stdout) == []
