"""Is all well? The seeds' contract, and what orchestrators and dashboards ask."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import structlog
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from api.auth import MayRead, ReadAllowed
from api.problems import PUBLIC, READING
from api.state import ServicesOf
from api.values import Record
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.health import metrics, readiness, settings_in_use
from rebalancer.health.ledger_mark import LEDGER_HEADER, ledger_mark
from rebalancer.health.remarks import remarks
from rebalancer.ledger import heartbeats, outbox
from rebalancer.ledger.queries import event_search

log = structlog.get_logger()

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """Answered with 200 in all cases, for whom ``healthy`` is the answer."""

    status: Literal["healthy", "unhealthy", "error"]
    healthy: bool
    events_with_retries: int
    message: str = Field(examples=["No events require retry"])


class ProcessAtWork(Record):
    """A process, and the settings that it read at its start."""

    name: str = Field(examples=["worker"])
    host: str
    mark: str = Field(description="Differs where trading settings do.", examples=["5f0c9a1e"])
    since: datetime = Field(description="When it read them.")
    changed: list[str] = Field(description="Settings that would have another value if it began now.")
    refused: list[str] = Field(description="Why it could not begin now.")


class DetailedHealth(Health):
    """The same with the queue's counts; all of them count active events."""

    queue_length: int
    active_events_count: int
    total_events: int
    max_retry_count: int
    retry_distribution: dict[str, int] = Field(description="How many events were queued how often.")
    notifications_stuck: dict[str, str] = Field(description="Targets that do not take messages, and why.")
    remarks: list[str] = Field(
        description="What hinders no signal, and a person should know: messages misspelt, or stuck."
    )
    processes: list[ProcessAtWork] = Field(description="Those at work, and the settings that each of them works with.")


class Alive(BaseModel):
    """This process answers."""

    status: Literal["alive"] = "alive"


class CheckResult(BaseModel):
    """One condition."""

    name: str
    ok: bool
    detail: str | None = Field(description="What is wrong, for whoever may read.")


class Readiness(BaseModel):
    """Whether a signal could be traded now; every reason why not is among the checks."""

    ready: bool
    checks: list[CheckResult]


@router.get("/health")
def health(services: ServicesOf) -> Health:
    """Healthy iff no active event was queued more than once."""
    try:
        with services.ledger.begin() as session:
            retried = event_search.queue_status(session).events_with_retries
    except RecordUnavailable as error:
        log.error("ledger_unavailable", error=str(error))
        return Health(status="error", healthy=False, events_with_retries=0, message="The ledger cannot be read")
    return _health(retried)


@router.get("/health/detailed", dependencies=[ReadAllowed], responses=READING)
def detailed_health(services: ServicesOf) -> DetailedHealth:
    """The same, counted further."""
    with services.ledger.begin() as session:
        counted, detail = event_search.queue_status(session), event_search.queue_detail(session)
        stuck, seen = outbox.stuck(session), heartbeats.known(session)
        told = remarks(services, session)
    return DetailedHealth(
        **_health(counted.events_with_retries).model_dump(),
        queue_length=counted.queue_length,
        active_events_count=counted.active_events_count,
        total_events=counted.active_events_count,
        max_retry_count=max(detail.by_times_queued, default=0),
        retry_distribution={str(times): count for times, count in detail.by_times_queued.items()},
        notifications_stuck={one.target: one.last_error for one in stuck},
        remarks=[f"{remark.name}: {remark.detail}" for remark in told],
        processes=[ProcessAtWork.model_validate(one) for one in settings_in_use.processes(seen)],
    )


@router.get("/livez")
def alive(services: ServicesOf, response: Response) -> Alive:
    """This process answers; nothing else is looked at. The header `X-Ledger` tells whose API this is."""
    response.headers[LEDGER_HEADER] = ledger_mark(services.settings.stores.database_url)
    return Alive()


@router.get(
    "/readyz",
    openapi_extra=PUBLIC,
    responses={**READING, 503: {"model": Readiness, "description": "Not ready, with every reason."}},
)
def ready(services: ServicesOf, allowed: MayRead, response: Response) -> Readiness:
    """Whether a signal could be traded now: ledger, Redis, dispatcher, workers, gateway, listener, clocks.

    Open to everybody, without details.
    """
    checks = readiness.check(services)
    is_ready = all(check.ok for check in checks)
    response.status_code = 200 if is_ready else 503
    shown = [CheckResult(name=one.name, ok=one.ok, detail=one.detail if allowed else None) for one in checks]
    return Readiness(ready=is_ready, checks=shown)


@router.get(
    "/metrics",
    dependencies=[ReadAllowed],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format."}, **READING},
)
def read_metrics(services: ServicesOf) -> Response:
    """What there is to watch, for Prometheus."""
    return Response(metrics.exposition(services), media_type=CONTENT_TYPE_LATEST)


def _health(retried: int) -> Health:
    if retried:
        return Health(
            status="unhealthy", healthy=False, events_with_retries=retried, message=f"{retried} events require retry"
        )
    return Health(status="healthy", healthy=True, events_with_retries=0, message="No events require retry")
