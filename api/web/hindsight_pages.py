"""Looking back: what an account earned beside its strategy, and what other settings would have done."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.auth import MayRead
from api.state import ServicesOf
from api.values import AccountFilter
from api.web.days import Day, span_of
from api.web.money_pages import DAYS, begin_of_span
from api.web.money_pages import Span as Reach
from api.web.routes import page
from rebalancer.config.replayed_settings import HONOURED, read_changes
from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger.queries.account_returns import account_returns
from rebalancer.ledger.queries.recorded_runs import replayed
from rebalancer.ledger.queries.spans import Span
from rebalancer.replay.runs import Replay
from rebalancer.replay.wording import notes, rows
from rebalancer.returns.wording import MEANINGS, NOTHING, remarks

router = APIRouter(include_in_schema=False)

REPLAYED = timedelta(days=366)
"""How far back a replay goes if nobody says."""
Name = Annotated[str, Query(max_length=40)]
Value = Annotated[str, Query(max_length=20)]


@router.get("/account/{account_id}/returns")
def returns_page(
    request: Request, services: ServicesOf, allowed: MayRead, account_id: str, span: Reach = "1Y"
) -> Response:
    """Return and gap of one account."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    account = services.accounts().get(account_id)
    with services.ledger.begin() as session:
        found = account_returns(session, account_id, Span(begin_of_span(span)))
    return page(
        request,
        services,
        "returns.html",
        account=account,
        returns=found,
        span=span,
        spans=tuple(DAYS),
        meanings=MEANINGS,
        remarks=tuple(remarks(found)) if found else (),
        nothing=NOTHING,
    )


@router.get("/desk/replay")
def replay_page(
    request: Request,
    services: ServicesOf,
    allowed: MayRead,
    *,
    name: Name = "DRIFT_BAND_PERCENT",
    value: Value = "",
    account_id: AccountFilter = None,
    since: Day = None,
    until: Day = None,
) -> Response:
    """The recorded runs by another value of one setting; without a value only the form."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    since = since or datetime.now(UTC).date() - REPLAYED
    found, problem = None, None
    if value:
        found, problem = _replayed(services, f"{name}={value}", account_id, since, until)
    return page(
        request,
        services,
        "replay.html",
        names=tuple(HONOURED),
        name=name,
        value=value,
        accounts=tuple(services.accounts()),
        account_id=account_id,
        since=since,
        until=until,
        replay=found,
        rows=rows(found) if found else (),
        notes=tuple(notes(found)) if found else (),
        problem=problem,
    )


def _replayed(
    services: ServicesOf, text: str, account_id: str | None, since: date, until: date | None
) -> tuple[Replay | None, str | None]:
    """The replay, or why there is none."""
    try:
        changes = read_changes([text])
    except ConfigurationError as refused:
        return None, str(refused)
    known = services.accounts()
    asked = [one.account_id for one in known] if account_id is None else [known.get(account_id).account_id]
    with services.ledger.begin() as session:
        return replayed(session, asked, span_of(since, until), changes), None
