"""The queue: look at it, add to it, remove from it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import MayRead, Operator, Trader, Writer
from api.problems import CHANGING, NOT_FOUND, PUBLIC, READING, Problem
from api.state import ServicesOf
from api.values import AccountFilter, JsonData, KeptObject, Limit, Record
from rebalancer.domain.scopes import needed_for
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.queries.event_search import EventView
from rebalancer.ledger.states import ACTIVE, EventState
from rebalancer.operations.requests import read_account, read_command, request
from rebalancer.operations.retries import retry

router = APIRouter(prefix="/queue", tags=["queue"])

EventType = Literal["active", "retry", "delayed"]
TYPES: dict[str, tuple[EventState, ...]] = {
    "active": (EventState.QUEUED, EventState.RUNNING),
    "retry": (EventState.RETRYING,),
    "delayed": (EventState.HELD,),
}


class QueueStatus(Record):
    """The queue in four numbers."""

    queue_length: int = Field(examples=[5])
    active_events_count: int = Field(examples=[3])
    oldest_event_age_seconds: int | None = Field(examples=[120])
    events_with_retries: int = Field(examples=[1])


class PublicEvent(Record):
    """An active event as everybody may see it: the fields of the original contract, no reason, no amount.

    ``data`` is what was asked for (``exec``) and nothing else; ``retry_after`` is when a failed event is tried again,
    ``execution_time`` when a held one is run.
    """

    event_id: UUID
    account_id: str = Field(examples=["DU1000001"])
    exec_command: str = Field(examples=["rebalance"])
    times_queued: int = Field(examples=[1])
    created_at: datetime
    data: KeptObject
    type: EventType | None = None
    retry_after: datetime | None = None
    execution_time: datetime | None = None


class QueuedEvent(PublicEvent):
    """An event as lists show it to whoever may read."""

    strategy: str = Field(examples=["etf-blend-301-20"])
    state: EventState
    reason: str = Field(examples=["new"])
    due_at: datetime
    finished_at: datetime | None
    last_error: str | None
    needs_attention: bool
    rule: str | None = Field(description="What it waits by: a name that stays the same, unlike the reason.")
    retriable: bool = Field(description="It waits for nothing but its next try: POST .../retry has it at once.")
    remove_requested: bool = Field(description="Somebody asked to end it; a running one stops at its next step.")
    gateway: str = Field(examples=["main"], description="Whose login manages the account; main where there is one.")


class NewEvent(BaseModel):
    """A request for one command on one account."""

    model_config = ConfigDict(extra="forbid")

    account_id: str = Field(examples=["DU1000001"])
    exec_command: str = Field(examples=["print-rebalance"])
    data: JsonData = Field(default_factory=dict)


class Added(BaseModel):
    """The event that serves a request; ``created`` is false when an active one absorbed it."""

    message: str = Field(examples=["Event added successfully"])
    event_id: UUID
    created: bool


class Removed(BaseModel):
    """What became of a removed event."""

    message: str


class Retried(BaseModel):
    """What became of a retry; ``made`` is false when the event was due or running anyway."""

    message: str
    made: bool


class ClearedCounts(BaseModel):
    """How many events were removed, by what they waited for; ``active_events_set`` is all of them."""

    active_queue: int
    retry_queue: int
    delayed_queue: int
    active_events_set: int


class Cleared(BaseModel):
    """What became of the whole queue."""

    message: str = Field(examples=["Successfully cleared 3 events from all queues"])
    cleared_counts: ClearedCounts


@router.get("/status", responses=READING)
def status(services: ServicesOf) -> QueueStatus:
    """Count the active events; open to everybody."""
    with services.ledger.begin() as session:
        counted = event_search.queue_status(session)
    return QueueStatus.model_validate(counted)


@router.get(
    "/events",
    openapi_extra=PUBLIC,
    responses={**READING, 400: {"model": Problem, "description": "There is no such type."}},
)
def list_events(
    services: ServicesOf,
    allowed: MayRead,
    http: Request,
    response: Response,
    *,
    limit: Limit = 100,
    kind: Annotated[str | None, Query(alias="type", description="active, retry or delayed.")] = None,
    state: Annotated[list[EventState] | None, Query(description="Only events in these states.")] = None,
    account_id: AccountFilter = None,
    after: Annotated[UUID | None, Query(description="Id of the last event of the page before.")] = None,
    order: Annotated[Literal["oldest", "newest"], Query(description="Which come first.")] = "oldest",
) -> list[QueuedEvent] | list[PublicEvent]:
    """Events, by default the active ones. While there may be more, the header Link names the next page.

    The active ones are listed for everybody, with the fields of the original contract; ended ones, one account's, and
    reasons need a key.
    """
    if not allowed and (state is not None or account_id is not None):
        raise HTTPException(403, "Not authenticated")
    with services.ledger.begin() as session:
        found = event_search.find_events(
            session,
            _states(kind, state),
            limit,
            account_id=account_id,
            after=after,
            newest_first=order == "newest",
        )
    if len(found) == limit:
        following = http.url.include_query_params(after=found[-1].event_id)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return [_listed(event) for event in found] if allowed else [_public(event) for event in found]


@router.post("/events", responses={**CHANGING, **NOT_FOUND})
def add_event(services: ServicesOf, caller: Writer, new: NewEvent) -> Added:
    """Ask for a command; an active event of the same account and command absorbs the request."""
    command = read_command(new.exec_command)
    caller.require(needed_for(command))
    account = read_account(services.accounts(), new.account_id, services.settings.broker.trading_mode)
    caller.note(services, command, account.account_id, via="POST /queue/events")
    served = request(services.dispatcher, account, command, new.data, "api")
    message = "Event added successfully" if served.created else "An active event already serves this request"
    return Added(message=message, event_id=served.event_id, created=served.created)


@router.delete("/events", responses=CHANGING)
def clear(services: ServicesOf, caller: Operator) -> Cleared:
    """End every active event for good; running ones stop at their next step."""
    caller.note(services, "remove", "all events")
    counts = dict.fromkeys(TYPES, 0)
    with services.ledger.begin() as session:
        found = event_search.find_events(session, ACTIVE, 100_000)
    for event in found:
        if services.dispatcher.remove(event.event_id, "removed through the API") is not None:
            counts[_type(event.state) or "active"] += 1
    total = sum(counts.values())
    return Cleared(
        message=f"Successfully cleared {total} events from all queues",
        cleared_counts=ClearedCounts(
            active_queue=counts["active"],
            retry_queue=counts["retry"],
            delayed_queue=counts["delayed"],
            active_events_set=total,
        ),
    )


@router.post("/events/{event_id}/retry", responses={**CHANGING, **NOT_FOUND})
def retry_event(services: ServicesOf, caller: Trader, event_id: UUID) -> Retried:
    """Let an event that waits for its next try run at once. Refused while a halt, a plan that is before a person, the
    market's hours or the pace hold it; one that is due or runs stays as it is.
    """
    caller.note(services, "retry", str(event_id))
    made = retry(services, event_id, caller.name)
    if made is None:
        raise HTTPException(404, f"Event {event_id} not found in queue")
    return Retried(message=f"Event {event_id} is {'tried now' if made else 'under way already'}", made=made)


@router.delete("/events/{event_id}", responses={**CHANGING, **NOT_FOUND})
def remove_event(services: ServicesOf, caller: Operator, event_id: UUID) -> Removed:
    """End an active event for good; a running one stops at its next step, never in the middle of an order."""
    caller.note(services, "remove", str(event_id))
    state = services.dispatcher.remove(event_id, "removed through the API")
    if state is None:
        raise HTTPException(404, f"Event {event_id} not found in queue")
    return Removed(message=f"Event {event_id} removed successfully")


def _states(kind: str | None, states: list[EventState] | None) -> tuple[EventState, ...]:
    if kind is not None and kind not in TYPES:
        raise HTTPException(400, f"unknown type {kind[:80]!r}; known are {', '.join(TYPES)}")
    of_type = TYPES[kind] if kind else None
    if states is None:
        return of_type or ACTIVE
    return tuple(state for state in states if of_type is None or state in of_type)


def _listed(event: EventView) -> QueuedEvent:
    listed = QueuedEvent.model_validate(event)
    listed.type = _type(event.state)
    listed.retry_after = event.due_at if event.state is EventState.RETRYING else None
    listed.execution_time = event.due_at if event.state is EventState.HELD else None
    return listed


def _public(event: EventView) -> PublicEvent:
    asked = event.data.get("exec")
    shown = _listed(event).model_dump() | {"data": {"exec": asked} if isinstance(asked, str) else {}}
    return PublicEvent.model_validate(shown)


def _type(state: EventState) -> EventType | None:
    kinds: tuple[EventType, ...] = ("active", "retry", "delayed")
    return next((kind for kind in kinds if state in TYPES[kind]), None)
