"""Money over time: of all accounts, and an account with everything else about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.auth import MayRead
from api.state import ServicesOf
from api.web.letter_pages import offered
from api.web.overview import cards
from api.web.routes import page
from rebalancer.domain.household import WashSales
from rebalancer.domain.money import ZERO
from rebalancer.ledger import halts, statements
from rebalancer.ledger.queries import cash_flows, money
from rebalancer.ledger.queries.money import Day, Month
from rebalancer.ledger.queries.past_events import Traded, Wanted, past_events
from rebalancer.ledger.session import Session

router = APIRouter(include_in_schema=False)

EVENT_ROWS = 50
FLOW_ROWS = 20
Span = Literal["1M", "3M", "1Y", "all"]
DAYS: Mapping[Span, int | None] = {"1M": 31, "3M": 92, "1Y": 366, "all": None}


def begin_of_span(span: Span) -> datetime | None:
    """From when on it shows; ``None`` for all there is."""
    reach = DAYS[span]
    return None if reach is None else datetime.now(UTC) - timedelta(days=reach)


@dataclass(frozen=True, slots=True)
class Balance:
    """Equity over a span of time, and what trading cost by month.

    Attributes:
        gain: USD between the first and the last day without what came or went; ``None`` with fewer than two.
        flow: USD that came (+) or went between them.
    """

    span: Span
    spans: tuple[Span, ...]
    days: list[Day]
    months: list[Month]
    together: list[tuple[date, Traded]]
    gain: Decimal | None
    flow: Decimal


def balance(session: Session, account_ids: list[str], span: Span) -> Balance:
    """Of some accounts together."""
    found, months = money.days(session, account_ids, begin_of_span(span)), money.months(session, account_ids)
    flow = sum((one.flow for one in found[1:]), ZERO)
    gain = found[-1].equity - found[0].equity - flow if len(found) > 1 else None
    return Balance(span, tuple(DAYS), found, months, money.together(months), gain, flow)


@router.get("/money")
def money_page(request: Request, services: ServicesOf, allowed: MayRead, span: Span = "1Y") -> Response:
    """All accounts together."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    accounts = [one.account_id for one in services.accounts()]
    with services.ledger.begin() as session:
        shown = balance(session, accounts, span)
    reports = services.settings.reports
    return page(
        request,
        services,
        "money.html",
        balance=shown,
        path="/money",
        names=accounts,
        quality=reports.execution_quality,
        letters=offered(reports),
        taxed=services.settings.risk.wash_sales is not WashSales.OFF,
    )


@router.get("/account/{account_id}")
def account_page(
    request: Request, services: ServicesOf, allowed: MayRead, account_id: str, span: Span = "1Y"
) -> Response:
    """One account: weights, equity over time, what trading cost, newest events."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    account = services.accounts().get(account_id)
    with services.ledger.begin() as session:
        (shown,) = cards(services, session, [account], halts.in_force(session, account_id), with_bars=True)
        events = past_events(session, Wanted(account_id), EVENT_ROWS)
        over_time = balance(session, [account_id], span)
        flows = cash_flows.newest(session, account_id, FLOW_ROWS)
        stated = statements.newest(session, account_id) if services.settings.statements.flex_queries else None
    return page(
        request,
        services,
        "account.html",
        card=shown,
        events=events,
        balance=over_time,
        cash_flows=flows,
        stated=stated,
    )
