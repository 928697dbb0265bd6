"""Taxes of a household over REST and on the page; what is bound is told only where somebody wants to know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from sqlalchemy import update

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ledger.models import FillRow
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import add_traded
from tests.serving import serving

BROWSER = BEARER | {"Accept": "text/html"}
LATELY = datetime.now(UTC) - timedelta(days=3)
BEFORE = LATELY - timedelta(days=90)
YEAR = trading_day(LATELY).year


@pytest.fixture
def sold(ledger: Ledger) -> Decimal:
    """All that was bought three months ago for 500 USD a share is sold for 450; what that has gained."""
    with ledger.begin() as session:
        add_traded(session, at=BEFORE)
        add_traded(session, at=LATELY)
        session.flush()
        session.execute(update(FillRow).values(price=500, commission=1, currency="USD", symbol="SPY", side="BUY"))
        session.execute(update(FillRow).where(FillRow.at >= LATELY).values(side="SELL", price=450, realized=-51))
    with ledger.begin() as session:
        rows = session.query(FillRow).all()
        signed = ((one.quantity if one.side == "SELL" else -one.quantity) * one.price - 1 for one in rows)
        return sum(signed, Decimal(0))


@pytest.fixture
def off(app_settings: Settings) -> Iterator[httpx.Client]:
    with serving(create_app(app_settings)) as client:
        yield client


@pytest.fixture
def warned(app_settings: Settings) -> Iterator[httpx.Client]:
    with serving(create_app(app_settings.changed(wash_sales="warn"))) as client:
        yield client


def test_gains_are_told_lot_by_lot(warned: httpx.Client, sold: Decimal) -> None:
    rows = warned.get("/household/gains", headers=BEARER, params={"year": YEAR}).json()
    assert sum(Decimal(str(one["gain"])) for one in rows) == sold
    assert {(one["symbol"], one["term"], one["source"]) for one in rows} == {("SPY", "short", "executions")}
    assert warned.get("/household/gains", headers=BEARER, params={"year": 2001}).json() == []
    assert warned.get("/household/gains", headers=BEARER, params={"account_id": "DU999"}).status_code == 404
    assert warned.get("/household/gains").status_code == 403


def test_what_is_bound_is_told_with_its_day(warned: httpx.Client, sold: Decimal) -> None:
    assert sold < 0
    (row,) = warned.get("/household/wash-sales", headers=BEARER).json()
    assert (row["symbol"], row["side"]) == ("SPY", "BUY")
    assert row["free_from"] == (trading_day(LATELY) + timedelta(days=31)).isoformat()
    assert "a buy within 30 days of a sale at a loss" in row["why"]


@pytest.mark.usefixtures("sold")
def test_the_page_has_both_and_a_file(warned: httpx.Client) -> None:
    assert "/money/gains" in warned.get("/money", headers=BROWSER).text
    shown = warned.get("/money/gains", headers=BROWSER, params={"year": YEAR}).text
    assert all(words in shown for words in ("executions", "What the last thirty days bind", "Lot by lot (CSV)"))
    table = warned.get("/csv/gains", headers=BROWSER, params={"year": YEAR}).text.splitlines()
    assert table[0].split(",")[-3:] == ["gain", "term", "source"]
    assert len(table) > 1


@pytest.mark.usefixtures("sold")
def test_while_it_is_off_nothing_is_bound_and_nothing_is_offered(off: httpx.Client) -> None:
    assert off.get("/household/wash-sales", headers=BEARER).json() == []
    assert "/money/gains" not in off.get("/money", headers=BROWSER).text
    assert "thirty days" not in off.get("/money/gains", headers=BROWSER).text


def test_a_year_in_which_nothing_was_sold_says_so(warned: httpx.Client) -> None:
    assert "Nothing was sold in 2001." in warned.get("/money/gains?year=2001", headers=BROWSER).text
