"""Pages of what is on record: the past, letters, changes, schedules, signals, settings, money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.auth import IsKnown, MayRead
from api.state import ServicesOf
from api.values import AccountFilter, Before
from api.web import settings_in_force
from api.web.days import Day, begin_of
from api.web.routes import page
from rebalancer.domain.commands import Command
from rebalancer.domain.recurrence import Recurrence, first_day
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.health import sources
from rebalancer.ledger import audit_log, outbox, schedules
from rebalancer.ledger.queries import gaps, signals
from rebalancer.ledger.queries.past_events import Wanted, past_events
from rebalancer.ledger.states import EventState, SignalState
from rebalancer.notifier import preferences
from rebalancer.notify.wording import describe

router = APIRouter(include_in_schema=False)

PAGE_ROWS = 50
GAP_ROWS = 20
Text = Annotated[str | None, Query(max_length=40, pattern=r"^[0-9A-Za-z-]*$")]


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
    wanted = Wanted(account_id, command, state, text, begin_of(since), begin_of(until, timedelta(days=1)))
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


@router.get("/desk/notifications")
def notifications_page(request: Request, services: ServicesOf, allowed: MayRead, before: Before = None) -> Response:
    """What people were told, and whether it arrived."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    style = preferences.style(services)
    with services.ledger.begin() as session:
        told = outbox.recent(session, PAGE_ROWS, before)
    rows = [(one, describe(one.notice, style).text) for one in told]
    following = told[-1].notice.id if len(told) == PAGE_ROWS else None
    return page(request, services, "notifications.html", rows=rows, following=following)


@router.get("/desk/audit")
def audit_page(request: Request, services: ServicesOf, known: IsKnown, before: Before = None) -> Response:
    """Who asked for which change: for those who have signed in, even where reading is open."""
    if not known:
        return page(request, services, "locked.html", status=403)
    with services.ledger.begin() as session:
        entries = audit_log.recent(session, PAGE_ROWS, before)
    following = entries[-1].id if len(entries) == PAGE_ROWS else None
    return page(request, services, "audit.html", entries=entries, following=following)


@router.get("/desk/schedules")
def schedules_page(request: Request, services: ServicesOf, allowed: MayRead, change: int | None = None) -> Response:
    """What the program asks of itself, the next due first, with a form to add one or to change that of a number."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    with services.ledger.begin() as session:
        found = schedules.everything(session)
    now = datetime.now(UTC)
    return page(
        request,
        services,
        "schedules.html",
        schedules=found,
        changed=next((one for one in found if one.id == change), None),
        accounts=services.accounts().active(services.settings.broker.trading_mode),
        recurrences=Recurrence,
        today=trading_day(now),
        first_on=first_day(Recurrence.ONCE, now),
    )


@router.get("/desk/signals")
def signals_page(
    request: Request,
    services: ServicesOf,
    allowed: MayRead,
    state: SignalState | None = None,
    before: Before = None,
) -> Response:
    """What arrived, what became of it, and how the channels are heard."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    with services.ledger.begin() as session:
        found = signals.find_signals(session, PAGE_ROWS, state=state, before=before)
        heard, missed = signals.channels(session), gaps.find_gaps(session, GAP_ROWS)
        tables = sources.listing(services.accounts(), services.settings.broker.trading_mode, session)
    following = request.url.include_query_params(before=found[-1].id).query if len(found) == PAGE_ROWS else None
    return page(
        request,
        services,
        "signals.html",
        signals=found,
        channels=heard,
        gaps=missed,
        tables=tables,
        state=state,
        states=SignalState,
        following=following,
    )


@router.get("/desk/settings")
def settings_page(request: Request, services: ServicesOf, allowed: MayRead) -> Response:
    """The settings that this process works with."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    groups = settings_in_force.in_force(services.settings)
    tables = tuple(services.accounts().sources.values())
    replays = settings_in_force.replayable(services.settings)
    return page(request, services, "settings.html", groups=groups, tables=tables, replays=replays)
