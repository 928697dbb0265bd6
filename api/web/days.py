"""Days as people ask for them: of UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Query

from rebalancer.ledger.queries.spans import Span

Day = Annotated[date | None, Query(ge=date(2000, 1, 1), le=date(2199, 12, 31))]


def begin_of(day: date | None, later: timedelta = timedelta()) -> datetime | None:
    """When a day of UTC begins."""
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC) + later


def span_of(since: date | None, until: date | None) -> Span:
    """From the beginning of the first day to the end of the last."""
    return Span(begin_of(since), begin_of(until, timedelta(days=1)))
