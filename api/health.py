"""Is all well? The seeds' contract: healthy as long as no event is being retried."""

from __future__ import annotations

from typing import Literal

import structlog
from fastapi import APIRouter
from pydantic import BaseModel

from api.state import ServicesOf
from rebalancer.ledger import views
from rebalancer.ledger.session import LedgerError

log = structlog.get_logger()

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """Answered with 200 in all cases, for whom ``healthy`` is the answer."""

    status: Literal["healthy", "unhealthy", "error"]
    healthy: bool
    events_with_retries: int
    message: str


@router.get("/health")
def health(services: ServicesOf) -> Health:
    """Healthy iff no active event was queued more than once."""
    try:
        with services.ledger.begin() as session:
            retried = views.queue_status(session).events_with_retries
    except LedgerError as error:
        log.error("ledger_unavailable", error=str(error))
        return Health(status="error", healthy=False, events_with_retries=0, message="The ledger cannot be read")
    if retried:
        return Health(
            status="unhealthy", healthy=False, events_with_retries=retried, message=f"{retried} events require retry"
        )
    return Health(status="healthy", healthy=True, events_with_retries=0, message="No events require retry")
