"""Statements as the command line, the page, the API and the remarks tell them; nothing of them while they are off."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from api.app import create_app
from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.health import statements as health
from rebalancer.ledger import flex_queries
from rebalancer.ledger.models import StatementRow
from rebalancer.ledger.session import Ledger
from rebalancer.services import Services
from tests.contract.conftest import BEARER
from tests.serving import serving

ACCOUNT = "DU1000001"
ON = {"FLEX_TOKEN": "0123456789", "FLEX_QUERY_ID": "77"}
YESTERDAY = trading_day(datetime.now(UTC)) - timedelta(days=1)
DIVIDEND = {"kind": "dividend", "text": "Dividends SPY", "symbol": "SPY", "quantity": "0", "cash": "123.45"}
INTEREST = {"kind": "interest", "text": "Credit", "symbol": "", "quantity": "0", "cash": "7.20", "currency": "EUR"}
LEFT = {"kind": "position", "text": "5 TLT are stated", "symbol": "TLT", "quantity": "5", "cash": "0"}


def state(ledger: Ledger, *differences: dict[str, str], last: date = YESTERDAY) -> None:
    """A statement on record."""
    with ledger.begin() as session:
        session.add(
            StatementRow(
                account_id=ACCOUNT,
                last=last,
                query_id="77",
                digest="d",
                compared_since=last - timedelta(days=1),
                cash=1000,
                positions={"SPY": "10"},
                differences=list(differences),
                unexplained=sum(one is LEFT for one in differences),
            )
        )


@pytest.fixture
def settings(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    for name, value in ON.items():
        monkeypatch.setenv(name, value)
    return app_settings.changed(flex_token=ON["FLEX_TOKEN"], flex_query_id=ON["FLEX_QUERY_ID"])


def typed(*arguments: str) -> Result:
    done = CliRunner().invoke(app, ["statements", *arguments])
    assert done.exit_code == 0, done.exception
    return done


def remarks(settings: Settings, ledger: Ledger) -> dict[str, str]:
    with ledger.begin() as session:
        return {one.name: one.detail for one in health.remarks(Services.of(settings), session)}


def page(settings: Settings) -> str:
    with serving(create_app(settings)) as client:
        return client.get(f"/account/{ACCOUNT}", headers=BEARER | {"Accept": "text/html"}).text


def test_the_command_line_lists_them_and_shows_what_one_has_beyond(settings: Settings, ledger: Ledger) -> None:
    assert typed().stdout.strip() == "No statement yet."
    state(ledger, DIVIDEND, INTEREST, LEFT)
    assert "position: 5 TLT are stated" in typed().stdout
    shown = typed("--account", ACCOUNT).stdout
    assert "+123.45 USD" in shown
    assert "+7.20 EUR" in shown
    assert "+5" in shown
    (row,) = json.loads(typed("--json").stdout)
    assert (row["account_id"], row["unexplained"], row["differences"][0]["cash"]) == (ACCOUNT, 1, "123.45")


def test_a_statement_is_fetched_when_somebody_asks(settings: Settings, ledger: Ledger) -> None:
    with ledger.begin() as session:
        assert flex_queries.take_turn(session, ["77"]) is not None
    with ledger.begin() as session:
        assert flex_queries.take_turn(session, ["77"]) is None
    assert "asked" in typed("fetch").stdout
    with ledger.begin() as session:
        assert flex_queries.take_turn(session, ["77"]) is not None
        audited = session.execute(text("SELECT action, subject FROM audit")).all()
    assert [tuple(one) for one in audited] == [("fetch-statements", "77")]


def test_the_page_says_that_both_agree_or_what_nothing_explains(settings: Settings, ledger: Ledger) -> None:
    assert "statement" not in page(settings)
    state(ledger, DIVIDEND, INTEREST, last=YESTERDAY - timedelta(days=1))
    agreeing = page(settings)
    assert "agree to the share and the cent" in agreeing
    assert all(amount in agreeing for amount in ("$123.45", "7.20 EUR"))
    state(ledger, LEFT)
    shown = page(settings)
    assert "1 difference to the ledger that nothing in it explains" in shown
    assert "5 TLT are stated" in shown


def test_the_api_lists_them(settings: Settings, ledger: Ledger) -> None:
    state(ledger, DIVIDEND)
    with serving(create_app(settings)) as client:
        assert client.get("/statements", headers=BEARER, params={"account_id": "DU1000002"}).json() == []
        (row,) = client.get("/statements", headers=BEARER).json()
    assert (row["last"], row["cash"], row["positions"]) == (YESTERDAY.isoformat(), "1000", {"SPY": "10"})
    assert row["differences"][0] == DIVIDEND | {"currency": "USD"}, "early versions kept dollars alone"


def test_what_a_person_should_know_is_a_remark(settings: Settings, ledger: Ledger) -> None:
    assert remarks(settings, ledger) == {}
    with ledger.begin() as session:
        flex_queries.take_turn(session, ["77"])
        flex_queries.read(session, "77", datetime.now(UTC))
    state(ledger, DIVIDEND, last=YESTERDAY - timedelta(days=7))
    old, *without = remarks(settings, ledger)
    assert old == f"the newest statement of {ACCOUNT} is of {YESTERDAY - timedelta(days=7)}"
    assert without == [f"no statement has account DU100000{number}" for number in range(2, 8)]
    state(ledger, LEFT)
    told = remarks(settings, ledger)[f"the statement of {ACCOUNT} of {YESTERDAY} differs from the ledger"]
    assert told.startswith("position: 5 TLT are stated; `rebalancer statements")
    with ledger.begin() as session:
        flex_queries.failed(session, "77", "code 1012", timedelta(hours=1), for_a_person=True)
    assert remarks(settings, ledger)["no statement of query 77"] == "code 1012"
    assert "query 77: code 1012" in typed().stdout


def test_nothing_is_shown_while_they_are_off(
    settings: Settings, app_settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    state(ledger, LEFT)
    for name in ON:
        monkeypatch.delenv(name)
    assert remarks(app_settings, ledger) == {}
    assert "statement" not in page(app_settings)
    with pytest.raises(RequestRefused, match="FLEX_TOKEN and FLEX_QUERY_ID are not set"):
        CliRunner().invoke(app, ["statements", "fetch"], catch_exceptions=False)
    with ledger.begin() as session:
        session.execute(text("DELETE FROM statements"))
    assert "Statements are off" in typed().stdout
