"""What trading cost against the prices at which it was decided, for a person and for a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response

from api.auth import MayRead
from api.state import ServicesOf
from api.values import AccountFilter
from api.web.days import Day, span_of
from api.web.money_pages import DAYS
from api.web.money_pages import Span as Reach
from api.web.routes import page
from api.web.tables import csv_file
from rebalancer.costs.records import ORDER_COLUMNS, order_record
from rebalancer.costs.shortfall import measure
from rebalancer.costs.styles import StyleTable
from rebalancer.costs.summary import By, summarize
from rebalancer.ledger.queries import costs
from rebalancer.ledger.queries.costs import OrderSpan
from rebalancer.ledger.session import Ledger

router = APIRouter(include_in_schema=False)

MOST_PARTS, NEWEST = 50, 20
"""Rows; the file has all."""
REACHES: tuple[Reach, ...] = ("1M", "3M", "1Y")
"""All years of a large ledger take seconds: ``rebalancer costs --since`` has them."""


@router.get("/money/costs")
def costs_page(
    request: Request,
    services: ServicesOf,
    allowed: MayRead,
    *,
    by: By = By.SYMBOL,
    span: Reach = "3M",
    account_id: AccountFilter = None,
) -> Response:
    """By month, symbol, account or run, and the newest orders."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    since = datetime.now(UTC) - timedelta(days=DAYS[span] or 366)
    chosen = OrderSpan(since, account_ids=None if account_id is None else [account_id])
    styles = StyleTable()
    found = summarize(styles.watching(costs.sent_orders(services.ledger, chosen)), by)
    with services.ledger.begin() as session:
        newest = [(one, measure(one)) for one in costs.newest_orders(session, chosen, NEWEST)]
    return page(
        request,
        services,
        "costs.html",
        costs=found,
        parts=found.parts[:MOST_PARTS],
        newest=newest,
        styles=styles.rows if styles.chosen else (),
        by=by,
        every=By,
        span=span,
        spans=REACHES,
        account_id=account_id,
        accounts=[one.account_id for one in services.accounts()],
    )


def _span(account_id: AccountFilter = None, since: Day = None, until: Day = None) -> OrderSpan:
    """Days are of UTC, the last one included."""
    asked = span_of(since, until)
    return OrderSpan(asked.since, asked.until, None if account_id is None else [account_id])


@router.get("/csv/costs")
def costs_csv(services: ServicesOf, allowed: MayRead, chosen: Annotated[OrderSpan, Depends(_span)]) -> Response:
    """Every order."""
    if not allowed:
        raise HTTPException(403, "Not authenticated")
    return csv_file("costs", ORDER_COLUMNS, _rows(services.ledger, chosen))


def _rows(ledger: Ledger, chosen: OrderSpan) -> Iterator[list[Any]]:
    for one in costs.sent_orders(ledger, chosen):
        found = order_record(one)
        yield [found[column] for column in ORDER_COLUMNS]
