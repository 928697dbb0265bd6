"""What page, command line and API say of an account that is kept in euros, and of what it converts."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.ledger.models import Attempt, FillRow, Order, SnapshotRow
from rebalancer.ledger.queries import household_trades, portfolio, trading_activity
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import NOON, PLAN, SWITCH, add_traded, add_waiting

BROWSER = BEARER | {"Accept": "text/html"}
ACCOUNT = "DU1000001"
BASE = {"currency": "EUR", "rate": "0.8", "cash": "1589.25"}
CONVERSION = {
    "currency": "EUR",
    "per_dollar": "0.8",
    "kept": "0",
    "order": {
        "symbol": "EUR.USD",
        "side": "SELL",
        "quantity": 20_000,
        "price": "1.24995",
        "fee": "2",
        "usd": "24999.00",
        "reason": "the buys lack 24998.50 USD: sell 20000 EUR.USD",
    },
}

BACK = {
    **CONVERSION,
    "order": None,
    "back": {
        "symbol": "EUR.USD",
        "side": "BUY",
        "quantity": 40_000,
        "price": "1.25005",
        "fee": "2",
        "usd": "50002.00",
        "reason": "50020.00 USD lie idle: buy 40000 EUR.USD",
    },
}


@pytest.fixture
def traded(ledger: Ledger) -> UUID:
    """An event that sold, converted and bought, of an account in euros."""
    with ledger.begin() as session:
        event_id = add_traded(session, ACCOUNT, plan={**PLAN, "conversion": CONVERSION})
        session.execute(update(SnapshotRow).values(base=BASE))
        ref = f"{event_id.hex[:12]}-1-09"
        session.add(
            Order(
                order_ref=ref,
                event_id=event_id,
                attempt=1,
                account_id=ACCOUNT,
                symbol="EUR.USD",
                security_type="CASH",
                contract_id=12087792,
                side="SELL",
                quantity=20_000,
                order_type="LMT",
                limit_price=Decimal("1.24935"),
                time_in_force="DAY",
                planned_price=Decimal("1.24995"),
                planned_fee=Decimal(2),
                reason=CONVERSION["order"]["reason"],  # type: ignore[index]
                status="Filled",
                filled=Decimal(20_000),
                created_at=NOON + timedelta(seconds=3),
                final_at=NOON + timedelta(seconds=4),
            )
        )
        session.flush()
        session.add(
            FillRow(
                order_ref=ref,
                execution="fx",
                revision=1,
                account_id=ACCOUNT,
                symbol="EUR.USD",
                security_type="CASH",
                side="SELL",
                at=NOON + timedelta(seconds=4),
                quantity=Decimal(20_000),
                price=Decimal("1.24995"),
                commission=Decimal("1.60"),
                currency="EUR",
            )
        )
        return event_id


def words(page: httpx.Response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


@pytest.fixture
def typed(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    return lambda *arguments: CliRunner().invoke(app, arguments).stdout


def test_the_page_says_equity_and_cash_in_both_currencies(client: httpx.Client, traded: UUID) -> None:
    card = words(client.get(f"/account/{ACCOUNT}", headers=BROWSER))
    assert "$100,000.00 80,000.00 EUR" in card
    assert "$40,599.00 and 1,589.25 EUR" in card


def test_the_events_page_tells_the_conversion_with_its_digits_and_its_own_commission(
    client: httpx.Client, traded: UUID
) -> None:
    page = words(client.get(f"/events/{traded}", headers=BROWSER))
    assert "SELL EUR.USD" in page
    assert "1.24995" in page
    assert "$24,999.00" in page
    assert "commission 1.60 EUR" in page
    assert "20,000 EUR.USD between them" in page
    assert "sold $0.00, bought $19,4" in page, "which is no turnover"


def test_a_plan_that_waits_shows_its_conversion_between_sells_and_buys(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_waiting(session, ACCOUNT, {**SWITCH, "conversion": CONVERSION})
    page = words(client.get("/", headers=BROWSER))
    symbols = ("SELL MSFT ", "SELL EUR.USD ", "BUY SPY ")
    listed = [page.index(symbol) for symbol in symbols]
    assert listed == sorted(listed)
    assert "$24,999.00" in page
    assert "Sells $57,372.12, buys $19,400.00" in page


def test_a_way_back_stands_after_the_buys_on_the_page_and_in_a_plan_that_waits(
    client: httpx.Client, typed: Any, ledger: Ledger
) -> None:
    with ledger.begin() as session:
        event_id = add_traded(session, ACCOUNT, plan={**PLAN, "conversion": BACK})
        add_waiting(session, ACCOUNT, {**SWITCH, "conversion": BACK})
    assert "40,000 EUR.USD after them" in words(client.get(f"/events/{event_id}", headers=BROWSER))
    page = words(client.get("/", headers=BROWSER))
    listed = [page.index(symbol) for symbol in ("SELL MSFT ", "BUY SPY ", "BUY EUR.USD ")]
    assert listed == sorted(listed)
    assert "$50,002.00" in page
    assert "Sells $57,372.12, buys $19,400.00" in page, "which it is no part of"


def test_a_plan_of_a_way_back_alone_is_shown_to_whoever_decides(
    client: httpx.Client, typed: Any, ledger: Ledger
) -> None:
    with ledger.begin() as session:
        plan = {**SWITCH, "orders": [], "conversion": BACK}
        event_id = add_waiting(session, ACCOUNT, plan)
        session.execute(update(Attempt).values(plan=plan))
    page = words(client.get("/", headers=BROWSER))
    assert "BUY EUR.USD" in page
    assert "lie idle" in words(client.get(f"/events/{event_id}", headers=BROWSER))
    assert "BUY EUR.USD" in " ".join(typed("event", str(event_id)).split())


def test_the_api_has_both_figures(client: httpx.Client, traded: UUID) -> None:
    base = {"currency": "EUR", "rate": 0.8, "cash": 1589.25, "net_liquidation": 80_000.0}
    assert client.get(f"/accounts/{ACCOUNT}/value").json()["base"] == base
    assert next(one for one in client.get("/accounts").json() if one["account_id"] == ACCOUNT)["base"] == base
    (attempt,) = client.get(f"/queue/events/{traded}").json()["attempts"]
    assert attempt["before"]["base"] == {"currency": "EUR", "rate": 0.8, "cash": 1589.25}


def test_the_command_line_has_both_figures(typed: Any, traded: UUID) -> None:
    assert json.loads(typed("value", ACCOUNT, "--json"))["base"]["net_liquidation"] == "80000.00"
    told = " ".join(typed("value", ACCOUNT).split())
    assert "equity 100,000.00 USD" in told
    assert "equity 80,000.00 EUR" in told
    assert "0.8 EUR for one USD" in told
    event = " ".join(typed("event", str(traded)).split())
    assert "equity, EUR" in event
    assert "SELL EUR.USD" in event
    assert "1.24995" in event


def test_an_account_in_dollars_says_nothing_of_it(client: httpx.Client, typed: Any, ledger: Ledger) -> None:
    with ledger.begin() as session:
        add_traded(session, ACCOUNT)
    assert client.get(f"/accounts/{ACCOUNT}/value").json()["base"] is None
    assert "EUR" not in words(client.get(f"/account/{ACCOUNT}", headers=BROWSER))
    assert "for one USD" not in typed("value", ACCOUNT)


def test_a_conversion_is_no_turnover_and_counts_by_itself(ledger: Ledger, traded: UUID) -> None:
    with ledger.begin() as session:
        today = trading_activity.traded_since(session, ACCOUNT, NOON - timedelta(hours=1))
        found = portfolio.portfolio(session, ACCOUNT)
        taxed = list(household_trades.executions(session, [ACCOUNT], NOON + timedelta(hours=1)))
    assert (today.orders, today.converted) == (2, Decimal("24999.00000"))
    assert today.notional == pytest.approx(Decimal(19_402), abs=3)
    assert {one.symbol for one in taxed} == {"SPY"}
    assert found is not None
    assert found.cash_line is not None
    reserve, investable = Decimal(PLAN["reserve"]), Decimal(PLAN["investable"])
    assert found.cash_line.current == (40_599 + Decimal("1589.25") / Decimal("0.8") - reserve) / investable
