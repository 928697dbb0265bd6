"""Letters as PDF, for whoever may read; and which of them the page offers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from api.auth import MayRead
from api.state import ServicesOf
from api.web.routes import page
from rebalancer.config.report_settings import ReportSettings
from rebalancer.domain.periods import WEEK, Period
from rebalancer.operations.letters import at_home, details

router = APIRouter(include_in_schema=False)

OFFERED = 12
"""Months, and weeks."""


@router.get("/letters/{name}.pdf")
def letter_pdf(request: Request, services: ServicesOf, allowed: MayRead, name: str) -> Response:
    """Of a month or a week, about all accounts."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    try:
        period = Period.named(name)
    except ValueError as wrong:
        raise HTTPException(404, f"No letter {name}: {wrong}") from wrong
    found = details(services, period)
    if not found:
        raise HTTPException(404, f"Nothing is on record of {period}")
    from rebalancer.notify.letter_pdf import pdf  # noqa: PLC0415 - a library that nobody else here needs

    headers = {"Content-Disposition": f'attachment; filename="letter-{period.name}.pdf"'}
    return Response(pdf(f"Letter of {period}", at_home(services, found)), headers=headers, media_type="application/pdf")


def offered(settings: ReportSettings) -> list[Period]:
    """The newest letters of the kinds that are sent."""
    today = datetime.now(UTC).date()
    found = _months(today) if settings.monthly_at else []
    if settings.weekly_at:
        last = today - timedelta(days=(today.weekday() - settings.weekly_at[0]) % 7)
        found += [Period.week(last - weeks * WEEK) for weeks in range(1, OFFERED + 1)]
    return found


def _months(today: date) -> list[Period]:
    found = [Period.month(today.replace(day=1) - timedelta(days=1))]
    while len(found) < OFFERED:
        found.append(Period.month(found[-1].first - timedelta(days=1)))
    return found
