"""Look at one plan and decide on it with nothing but the link that a message brought."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from api.auth import LimitsOf, refusal
from api.callers import origin_of
from api.decisions import Done
from api.problems import CHANGING, NOT_FOUND
from api.state import ServicesOf
from api.values import Number, Record
from api.web.approvals import waiting_plan
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.approvals import Approval, ApprovalState
from rebalancer.notify.privacy import short_name
from rebalancer.operations import decision_links
from rebalancer.operations.decision_links import Decision

router = APIRouter(prefix="/decisions", tags=["control"])

GONE = "This link was used or has expired. Look at the page, or at `rebalancer approvals`."
OFF = "Links that decide are off: NOTIFY_APPROVAL_LINKS is not set"
Token = Annotated[str, Field(min_length=1, max_length=200)]


class Shown(BaseModel):
    """What stands behind the link's ``#``."""

    model_config = ConfigDict(extra="forbid")

    link: Token


class Decided(Shown):
    """The same, with what is said to the plan."""

    decision: Decision


class OrderShown(Record):
    """One order of the plan: USD, and fractions of investable equity; what an old record lacks is null."""

    side: str
    symbol: str
    shares: int | None
    price: Number | None
    amount: Number
    before: Number | None
    after: Number | None


class PlanShown(BaseModel):
    """A plan as whoever has its link is shown it: of the account, its name and no more."""

    account: str
    live: bool = Field(description="Real money.")
    waits: bool = Field(description="It can still be decided on.")
    reasons: list[str]
    orders: list[OrderShown]
    sold: Number
    bought: Number
    fees: Number | None
    asked_at: datetime
    silent_at: datetime | None
    expires_at: datetime


@router.post("/look", responses={**CHANGING, **NOT_FOUND})
async def look(request: Request, services: ServicesOf, limits: LimitsOf, shown: Shown) -> PlanShown:
    """The plan that a link is about."""
    _require_links(services.settings.notifications.notify_approval_links)
    found = await run_in_threadpool(decision_links.look, services, shown.link)
    if found is None:
        raise refusal(limits, origin_of(request, services.settings.api), GONE)
    account = next((one for one in services.accounts() if one.account_id == found.account_id), None)
    name = short_name(found.account_id, account.name if account else None)
    mode = services.mode_of(account) if account else services.settings.broker.trading_mode
    return _plan(found, name, live=mode is TradingMode.LIVE)


@router.post("", responses={**CHANGING, **NOT_FOUND})
async def decide(request: Request, services: ServicesOf, limits: LimitsOf, given: Decided) -> Done:
    """Approve or reject the plan that a link is about; the link is used up."""
    _require_links(services.settings.notifications.notify_approval_links)
    origin = origin_of(request, services.settings.api)
    found = await run_in_threadpool(decision_links.decide, services, given.link, given.decision, origin.shown)
    if found is None:
        raise refusal(limits, origin, GONE)
    said = "Approved: it is traded now" if given.decision is Decision.APPROVE else "Rejected: nothing of it is traded"
    return Done(message=said)


def _require_links(address: str | None) -> None:
    if address is None:
        raise HTTPException(404, OFF)


def _plan(asked: Approval, account: str, *, live: bool) -> PlanShown:
    plan = waiting_plan(asked)
    return PlanShown(
        account=account,
        live=live,
        waits=asked.state is ApprovalState.PENDING,
        reasons=list(asked.reasons),
        orders=[OrderShown.model_validate(order) for order in plan.orders],
        sold=plan.sold,
        bought=plan.bought,
        fees=plan.fees,
        asked_at=asked.asked_at,
        silent_at=asked.silent_at,
        expires_at=asked.expires_at,
    )
