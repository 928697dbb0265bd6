"""Taxes of a household, for a person and for a spreadsheet."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from api.auth import MayRead
from api.household import Year, gains_of, this_year, windows_now
from api.state import ServicesOf
from api.values import AccountFilter
from api.web.routes import page
from api.web.tables import csv_file
from rebalancer.realized_gains import GAIN_COLUMNS, gain_record, summarize, total

router = APIRouter(include_in_schema=False)

YEARS = 3
"""That are offered; any other can be asked for."""


@router.get("/money/gains")
def gains_page(
    request: Request, services: ServicesOf, allowed: MayRead, year: Year = None, account_id: AccountFilter = None
) -> Response:
    """Realized gains of a year, and what trades of the last thirty days bind."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    chosen, now = year or this_year(), this_year()
    found = gains_of(services, chosen, account_id)
    return page(
        request,
        services,
        "gains.html",
        sold=summarize(found),
        total=total(found),
        windows=windows_now(services),
        year=chosen,
        years=range(now, now - YEARS, -1),
        account_id=account_id,
    )


@router.get("/csv/gains")
def gains_csv(services: ServicesOf, allowed: MayRead, year: Year = None, account_id: AccountFilter = None) -> Response:
    """Lot by lot."""
    if not allowed:
        raise HTTPException(403, "Not authenticated")
    records = (gain_record(one) for one in gains_of(services, year, account_id))
    return csv_file("gains", GAIN_COLUMNS, ([one[column] for column in GAIN_COLUMNS] for one in records))
