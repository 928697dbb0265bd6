"""One event with everything on record about it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, HTTPException
from pydantic import Field

from api.auth import ReadAllowed
from api.problems import NOT_FOUND, READING
from api.queue import QueuedEvent
from api.state import ServicesOf
from api.values import Kept, KeptObject, Number, Record, WeightState
from rebalancer.ledger.queries.event_history import event_history
from rebalancer.ledger.states import SignalState

router = APIRouter(prefix="/queue", tags=["queue"])


class SignalRecord(Record):
    """A signal that the event serves."""

    id: int
    channel: str = Field(description="Strategy, or where a request was made: api, cli, schedule.")
    message_id: str
    state: SignalState
    command: str | None
    payload: Kept
    remark: str | None = Field(description="Why it was not taken literally, if so.")
    published_at: datetime | None
    received_at: datetime


class ReportRecord(Record):
    """One status or code that the broker reported."""

    at: datetime
    status: str
    filled: Number
    remaining: Number
    code: int | None
    text: str | None
    confirmed: bool


class FillRecord(Record):
    """One execution; price and commission in USD."""

    execution: str
    at: datetime
    quantity: Number
    price: Number
    commission: Number | None
    currency: str | None


class OrderRecord(Record):
    """An order from its intent, recorded before it was sent, to its last fill; amounts in USD."""

    order_ref: str
    symbol: str
    side: str
    quantity: int
    order_type: str
    limit_price: Number | None
    time_in_force: str
    planned_price: Number
    reason: str
    status: str
    filled: Number
    average_price: Number | None
    notional: Number
    commission: Number
    perm_id: int | None
    created_at: datetime
    final_at: datetime | None
    reports: list[ReportRecord]
    fills: list[FillRecord]
    style: str | None = Field(description="How it was worked; null where ORDER_TYPE alone decides.")
    style_why: str | None
    style_instead_of: str | None = Field(description="The style that it would have had.")


class BaseRecord(Record):
    """The currency that an account is kept in, where it is not USD; the rate is units of it for one USD."""

    currency: str
    rate: Number
    cash: Number


class SnapshotRecord(Record):
    """The account as the broker reported it; positions as recorded, decimals as text, with their weights."""

    at: datetime
    net_liquidation: Number
    cash: Number
    positions: list[KeptObject]
    weights: list[WeightState] = Field(description="Held against wanted by symbol, cash last; empty without a plan.")
    base: BaseRecord | None = Field(default=None, description="Absent for an account that is kept in USD.")


class AttemptRecord(Record):
    """One execution. Inputs, plan and result are as recorded, decimals as text."""

    number: int
    worker: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None
    inputs: KeptObject | None
    plan: KeptObject | None
    result: KeptObject | None
    before: SnapshotRecord | None
    after: SnapshotRecord | None
    orders: list[OrderRecord]


class EventRecord(Record):
    """Why did it trade, or why not?"""

    event: QueuedEvent
    signals: list[SignalRecord]
    attempts: list[AttemptRecord]


@router.get("/events/{event_id}", dependencies=[ReadAllowed], responses={**READING, **NOT_FOUND})
def read_event(services: ServicesOf, event_id: UUID) -> EventRecord:
    """An event in any state: its newest signals and attempts, each with inputs, plan, orders and weights."""
    with services.ledger.begin() as session:
        found = event_history(session, event_id)
    if found is None:
        raise HTTPException(404, f"Event {event_id} not found")
    return EventRecord.model_validate(found)
