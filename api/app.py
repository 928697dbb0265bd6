"""The management API."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

import rebalancer
from api import health, queue
from rebalancer.errors import ConfigurationError
from rebalancer.ledger.session import LedgerError
from rebalancer.logs import configure_logging
from rebalancer.services import Services
from rebalancer.settings import Settings, load_settings

log = structlog.get_logger()


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the app; uvicorn calls this once per process.

    Raises:
        ConfigurationError: naming everything that is wrong with settings or accounts.
    """
    settings = settings or load_settings()
    configure_logging(settings)
    app = FastAPI(title="IBKR rebalancer", version=rebalancer.__version__, summary=rebalancer.__doc__)
    app.state.services = Services.of(settings)
    app.state.services.accounts()
    app.include_router(health.router)
    app.include_router(queue.router)
    app.add_exception_handler(LedgerError, _ledger_away)
    app.add_exception_handler(ConfigurationError, _misconfigured)
    app.get("/", tags=["health"])(_about)
    return app


def _about() -> dict[str, str]:
    """Name and version."""
    return {"message": "Portfolio Rebalancer Management Service", "version": rebalancer.__version__}


def _ledger_away(_request: Request, error: Exception) -> JSONResponse:
    log.error("ledger_unavailable", error=str(error))
    return JSONResponse({"detail": "The ledger cannot be reached; nothing was recorded, try again"}, 503)


def _misconfigured(_request: Request, error: Exception) -> JSONResponse:
    log.error("misconfigured", error=str(error))
    return JSONResponse({"detail": str(error)}, 500)
