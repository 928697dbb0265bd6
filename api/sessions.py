"""Sign in and out: a key or a one-time link becomes a session of the browser that shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller, LimitsOf, by_key, cookie_name, refusal, session_of
from api.callers import origin_of
from api.problems import CHANGING
from api.state import ServicesOf
from rebalancer.domain.scopes import Scope
from rebalancer.ledger import audit_log, credentials
from rebalancer.services import Services

router = APIRouter(prefix="/session", tags=["session"])

Shown = Annotated[str, Field(min_length=1, max_length=200)]


class SignIn(BaseModel):
    """What opens: a key, or what a one-time link carries behind its ``#``."""

    model_config = ConfigDict(extra="forbid")

    key: Shown | None = None
    link: Shown | None = None


class SignedIn(BaseModel):
    """A session; its cookie comes with the answer, out of reach of scripts."""

    actor: str = Field(description="As the record of changes names whoever signed in.")
    scopes: list[Scope]
    expires_at: datetime
    proof: str = Field(description="To be sent as X-Session-Proof with whatever changes something.")


class SignedOut(BaseModel):
    """What became of it."""

    message: Literal["Signed out"] = "Signed out"


@router.post("", responses=CHANGING)
async def sign_in(
    request: Request, response: Response, services: ServicesOf, limits: LimitsOf, given: SignIn
) -> SignedIn:
    """Open a session for this browser."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "Only our own page signs in")
    if (given.key is None) == (given.link is None):
        raise HTTPException(422, "give either key or link")
    if given.key is not None:
        caller = await run_in_threadpool(by_key, request, services, given.key)
    else:
        caller = await run_in_threadpool(_by_link, request, services, limits, given.link or "")
    hours = services.settings.api.api_session_hours
    opened = await run_in_threadpool(_open, services, caller, timedelta(hours=hours))
    response.set_cookie(
        cookie_name(request),
        opened.token,
        max_age=hours * 3600,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    expires_at = datetime.now(UTC) + timedelta(hours=hours)
    return SignedIn(actor=caller.actor, scopes=sorted(caller.scopes), expires_at=expires_at, proof=opened.proof)


@router.delete("", responses=CHANGING)
def sign_out(request: Request, response: Response, services: ServicesOf) -> SignedOut:
    """End this browser's session; without one, nothing happens."""
    found = session_of(request, services)
    if found is not None:
        address = origin_of(request, services.settings.api).shown
        with services.ledger.begin() as session:
            audit_log.note(session, found.name, address, action="sign out", subject="page")
            credentials.end(session, found.id, found.name)
    response.delete_cookie(cookie_name(request), httponly=True, samesite="strict")
    return SignedOut()


def _by_link(request: Request, services: Services, limits: LimitsOf, token: str) -> Caller:
    origin = origin_of(request, services.settings.api)
    with services.ledger.begin() as session:
        used = credentials.redeem(session, token)
    if used is None:
        raise refusal(limits, origin, "This link was used or has expired: `rebalancer open` prints a new one")
    return Caller(used.created_by, origin.shown, used.scopes)


def _open(services: Services, caller: Caller, lifetime: timedelta) -> credentials.Opened:
    with services.ledger.begin() as session:
        detail = {"scopes": sorted(caller.scopes)}
        audit_log.note(session, caller.actor, caller.address, action="sign in", subject="page", detail=detail)
        return credentials.open_session(session, caller.actor, caller.scopes, caller.parent, lifetime)
