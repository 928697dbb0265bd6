"""Looking back: what an account earned beside its strategy, and what other settings would have done."""

from __future__ import annotations

from datetime import UTC, datetime
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
from rebalancer.config.replayed_settings import HONOURED
from rebalancer.domain.errors import RequestRefused
from rebalancer.ledger.queries.account_returns import account_returns
from rebalancer.ledger.queries.spans import Span
from rebalancer.operations.replays import REPLAYED, replay_of
from rebalancer.replay.wording import notes, rows
from rebalancer.returns.wording import MEANINGS, NOTHING, remarks

router = APIRouter(include_in_schema=False)

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
        try:
            found = replay_of(services, [f"{name}={value}"], account_id, span_of(since, until))
        except RequestRefused as refused:
            problem = str(refused)
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
