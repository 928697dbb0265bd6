"""The pages, and what browsers are told about them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

import rebalancer
from api.auth import MayRead, session_of
from api.guard import POLICY
from api.problems import PUBLIC, READING, Responses
from api.state import ServicesOf
from api.web import words, written
from api.web.approvals import waiting_plans
from api.web.overview import overview
from api.web.timeline import story
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger.queries.event_decisions import event_decisions
from rebalancer.ledger.queries.event_history import event_history
from rebalancer.ledger.states import ACTIVE
from rebalancer.services import Services

router = APIRouter()

ROOT: Responses = {**READING, 200: {"content": {"text/html": {}}}}
DOCS_POLICY = {"Content-Security-Policy": POLICY.replace("img-src 'self'", "img-src 'self' data:")}
"""For the reference of the API only: the style sheet of Swagger UI brings its arrows along."""


def static_files() -> StaticFiles:
    """Style and script, served from this package."""
    return StaticFiles(directory=Path(__file__).parent / "static")


@router.get("/", tags=["health"], response_model=dict[str, str], openapi_extra=PUBLIC, responses=ROOT)
def root(request: Request, services: ServicesOf, allowed: MayRead) -> Response:
    """Name and version, or for a browser the overview of accounts and queue."""
    if "text/html" not in request.headers.get("accept", ""):
        about = {"message": "Portfolio Rebalancer Management Service", "version": rebalancer.__version__}
        return JSONResponse(about, headers={"Vary": "Accept"})
    if not allowed:
        return page(request, services, "locked.html", status=403)
    return page(request, services, "overview.html", shown=overview(services))


@router.get("/events/{event_id}", include_in_schema=False)
def event_page(request: Request, services: ServicesOf, allowed: MayRead, event_id: UUID) -> Response:
    """One event as a timeline."""
    if not allowed:
        return page(request, services, "locked.html", status=403)
    with services.ledger.begin() as session:
        found = event_history(session, event_id)
        if found is None:
            raise HTTPException(404, f"Event {event_id} not found")
        decided = event_decisions(session, event_id)
        plans = waiting_plans(session, found.event.account_id)
    asked = next((plan for plan in plans if plan.approval.event_id == event_id), None)
    told, several = story(found, decided), _several_logins(services)
    return page(request, services, "event.html", story=told, asked=asked, name=None, many=False, several_logins=several)


def _several_logins(services: Services) -> bool:
    """None while the accounts file is wrong, which does not concern who looks at an event."""
    try:
        return bool(services.accounts().gateways)
    except ConfigurationError:
        return False


@router.get("/enter", include_in_schema=False)
def enter_page(request: Request, services: ServicesOf) -> Response:
    """Where a one-time link leads: what opens stands behind its ``#``, which only the page's script sees."""
    return page(request, services, "enter.html")


@router.get("/decide", include_in_schema=False)
def decide_page() -> HTMLResponse:
    """Where a message's link leads; what opens stands behind its ``#``."""
    return HTMLResponse(_templates().get_template("decide.html").render())


@router.get("/docs", include_in_schema=False)
def docs_page() -> Response:
    """The reference of the API, with everything it needs from this server."""
    return HTMLResponse(_templates().get_template("docs.html").render(), headers=DOCS_POLICY)


@router.get("/redoc", include_in_schema=False)
def redoc_page() -> Response:
    """The other address of the reference."""
    return RedirectResponse("/docs")


def page(request: Request, services: Services, template: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """A template with what every page shows."""
    settings = services.settings
    here = session_of(request, services)
    text = (
        _templates()
        .get_template(template)
        .render(
            mode=settings.broker.trading_mode,
            live=settings.broker.trading_mode == "live",
            version=rebalancer.__version__,
            flower=f"{request.url.scheme}://{request.url.hostname}:{settings.api.flower_port}",
            active=ACTIVE,
            commands=Command,
            signed_in=here.name if here else None,
            **shown,
        )
    )
    return HTMLResponse(text, status)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("api.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {word.__name__: word for word in (*words.FILTERS, *written.FILTERS)}
    return environment
