"""The management API and its web page."""

from __future__ import annotations

from typing import cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response
from starlette.exceptions import HTTPException

import rebalancer
from api import (
    accounts,
    cash_plans,
    costs,
    decision_links,
    decisions,
    events,
    health,
    household,
    notifications,
    queue,
    rebalance,
    replay,
    returns,
    sessions,
    signals,
    sources,
    statements,
    strategy_holds,
    stream,
    web,
)
from api.auth import RateLimits
from api.guard import GuardedAnswers, Hosts, Sizes
from api.keys import refuse_weak_keys
from api.web import problem_pages
from rebalancer.config.api_settings import ApiSettings
from rebalancer.config.settings import Settings, load_settings
from rebalancer.domain.errors import ConfigurationError, RecordUnavailable, RequestRefused, UnknownAccount
from rebalancer.logs.setup import configure_logging
from rebalancer.services import Services

log = structlog.get_logger()

DESCRIPTION = """
Health and queue are public, without amounts. Whatever else tells of accounts, and everything that changes something,
needs `Authorization: Bearer KEY`, or the session of a browser that has signed in. Each key may `read`, `operate`,
`approve`, `trade`, or some of these. Money is in USD, times are UTC. A weight is a fraction of investable equity,
which is equity less the reserve and the costs that the plan allows for: the base of the strategy's targets. What stays
cash beyond the reserve is the row `cash`.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the app; uvicorn calls this once per process.

    Raises:
        ConfigurationError: naming everything that is wrong with settings, keys or accounts.
    """
    settings = settings or load_settings()
    configure_logging(settings.logs, settings.secret_values())
    refuse_weak_keys(settings.api)
    services = Services.of(settings)
    services.accounts()
    app = FastAPI(
        title="IBKR rebalancer",
        version=rebalancer.__version__,
        summary=rebalancer.__doc__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    app.state.limits = RateLimits(settings.api)
    app.state.watch = stream.ChangeWatch(services.ledger)
    for part in (
        *(health, queue, events, rebalance, accounts, returns, decisions, decision_links, strategy_holds),
        *(cash_plans, signals, sources, notifications, statements, household, costs, replay),
        *(sessions, stream, web),
    ):
        app.router.routes += part.router.routes  # which including them would build all over again
    app.mount("/static", web.static_files())
    _guard(app, settings.api)
    _handle_errors(app)
    return app


def _guard(app: FastAPI, settings: ApiSettings) -> None:
    """What stands before the endpoints; the one that is added last comes first."""
    if settings.api_cors_origins:
        origins = [origin.strip() for origin in settings.api_cors_origins.split(",")]
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(Sizes, refuse=problem_pages.refused)
    app.add_middleware(Hosts, settings=settings, refuse=problem_pages.refused)
    app.add_middleware(GuardedAnswers, failed=problem_pages.failed)


def _handle_errors(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(RecordUnavailable, _ledger_away)
    app.add_exception_handler(ConfigurationError, _misconfigured)
    app.add_exception_handler(UnknownAccount, _unknown)
    app.add_exception_handler(RequestRefused, _refused)


async def _told(request: Request, error: Exception) -> Response:
    """What an endpoint says of itself; browsers get a page, everybody else what FastAPI makes of it."""
    told = cast("HTTPException", error)
    if problem_pages.of_browser(request):
        return problem_pages.answer(request, told.status_code, told.detail, told.headers)
    return await http_exception_handler(request, told)


def _not_understood(request: Request, error: Exception) -> Response:
    """Which fields are wrong and why, without what was sent: that need not be anything that JSON can hold."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    shown = [{"type": one["type"], "loc": list(one["loc"]), "msg": str(one["msg"])[:300]} for one in found[:20]]
    return problem_pages.answer(request, 422, shown)


def _ledger_away(request: Request, error: Exception) -> Response:
    log.error("ledger_unavailable", error=str(error))
    return problem_pages.answer(request, 503, "The ledger cannot be reached; nothing was recorded, try again")


def _misconfigured(request: Request, error: Exception) -> Response:
    log.error("misconfigured", error=str(error))
    return problem_pages.answer(request, 500, str(error))


def _unknown(request: Request, error: Exception) -> Response:
    return problem_pages.answer(request, 404, str(error))


def _refused(request: Request, error: Exception) -> Response:
    return problem_pages.answer(request, 422, str(error))
