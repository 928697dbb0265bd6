"""The queue: look at it, add to it, remove from it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import KeyRequired
from api.state import ServicesOf
from rebalancer.accounts import UnknownAccount
from rebalancer.ledger import views
from rebalancer.requests import RequestRefused, read_account, read_command, request

router = APIRouter(prefix="/queue", tags=["queue"])


class QueueStatus(BaseModel):
    """The queue in four numbers."""

    queue_length: int
    active_events_count: int
    oldest_event_age_seconds: int | None
    events_with_retries: int


class QueuedEvent(BaseModel):
    """An active event."""

    model_config = ConfigDict(from_attributes=True)

    event_id: UUID
    account_id: str
    exec_command: str
    times_queued: int
    created_at: datetime
    data: dict[str, Any]
    strategy: str
    state: str
    reason: str
    due_at: datetime
    last_error: str | None
    needs_attention: bool


class NewEvent(BaseModel):
    """A request for one command on one account."""

    model_config = ConfigDict(extra="forbid")

    account_id: str = Field(examples=["DU1000001"])
    exec_command: str = Field(examples=["print-rebalance"])
    data: dict[str, Any] = Field(default_factory=dict)


class Added(BaseModel):
    """The event that serves a request; ``created`` is false when an active one absorbed it."""

    message: str
    event_id: UUID
    created: bool


class Removed(BaseModel):
    """What became of a removed event."""

    message: str


@router.get("/status")
def status(services: ServicesOf) -> QueueStatus:
    """Count the active events."""
    with services.ledger.begin() as session:
        counted = views.queue_status(session)
    return QueueStatus.model_validate(counted, from_attributes=True)


@router.get("/events")
def list_events(services: ServicesOf, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[QueuedEvent]:
    """Active events, oldest first."""
    with services.ledger.begin() as session:
        return [QueuedEvent.model_validate(event) for event in views.active_events(session, limit)]


@router.post("/events", dependencies=[KeyRequired])
def add_event(services: ServicesOf, new: NewEvent) -> Added:
    """Ask for a command; an active event of the same account and command absorbs the request."""
    try:
        command = read_command(new.exec_command)
        account = read_account(services.accounts(), new.account_id, services.settings.trading_mode)
    except UnknownAccount as unknown:
        raise HTTPException(404, str(unknown)) from unknown
    except RequestRefused as refused:
        raise HTTPException(422, str(refused)) from refused
    served = request(services.dispatcher, account, command, new.data, "api")
    message = "Event added successfully" if served.created else "An active event already serves this request"
    return Added(message=message, event_id=served.event_id, created=served.created)


@router.delete("/events/{event_id}", dependencies=[KeyRequired])
def remove_event(services: ServicesOf, event_id: UUID) -> Removed:
    """End an active event for good; a running one stops at its next step, never in the middle of an order."""
    state = services.dispatcher.remove(event_id, "removed through the API")
    if state is None:
        raise HTTPException(404, f"Event {event_id} not found in queue")
    return Removed(message=f"Event {event_id} removed successfully")
