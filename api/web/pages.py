"""Pages of what is on record: the past, letters, changes, schedules, signals, settings, money."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.auth import MayRead
from api.state import ServicesOf
from api.values import AccountFilter
from api.web.routes import page
from rebalancer.domain.commands import Command
from rebalancer.ledger.queries.past_events import Wanted, past_events
from rebalancer.ledger.states import EventState

router = APIRouter(include_in_schema=False)

PAGE_ROWS = 50
Text = Annotated[str | None, Query(max_length=40, pattern=r"^[0-9A-Za-z-]*$")]
Day = Annotated[date | None, Query(ge=date(2000, 1, 1), le=date(2199, 12, 31))]


@router.get("/history")
def history_page(
    request: Request,
    services: ServicesOf,
    allowed: MayRead,
    *,
    account_id: AccountFilter = None,
    command: Command | None = None,
    state: EventState | None = None,
    text: Text = None,
    since: Day = None,
    until: Day = None,
    after: UUID | None = None,
) -> Response:
    """Events, newest first; days are of UTC, the last one included."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    wanted = Wanted(account_id, command, state, text, _begin_of(since), _begin_of(until, timedelta(days=1)))
    with services.ledger.begin() as session:
        events = past_events(session, wanted, PAGE_ROWS, after)
    last = events[-1].event.event_id if len(events) == PAGE_ROWS else None
    return page(
        request,
        services,
        "history.html",
        events=events,
        wanted=wanted,
        since=since,
        until=until,
        filtered=wanted != Wanted(),
        following=last and request.url.include_query_params(after=last).query,
        accounts=tuple(services.accounts()),
        states=EventState,
    )


def _begin_of(day: date | None, later: timedelta = timedelta()) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC) + later
