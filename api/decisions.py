"""What a person decides: halt and resume, approve and reject, schedules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.auth import Approver, Caller, Operator, ReadAllowed, Trader, Writer
from api.problems import CHANGING, NOT_FOUND, READING
from api.state import ServicesOf
from api.values import Number, Record
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.recurrence import Recurrence
from rebalancer.domain.scopes import Scope, needed_for
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ledger import schedules
from rebalancer.ledger.halts import EVERYTHING
from rebalancer.ledger.schedules import Schedule
from rebalancer.ledger.session import Session
from rebalancer.operations import halts_and_approvals
from rebalancer.operations.requests import read_account
from rebalancer.services import Services

router = APIRouter(tags=["control"])


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("use one line of printable text")
    return text


Reason = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_one_line)]
PlanId = Annotated[
    int | None,
    Query(ge=1, le=2**63 - 1, description="The plan that is meant, as GET /approvals names it; else whichever waits."),
]
ScheduleId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class NewHalt(BaseModel):
    """Stop trading, of one account or of all, before the next order that would be sent."""

    model_config = ConfigDict(extra="forbid")

    account_id: str | None = Field(default=None, description="Without one, all accounts.", examples=["DU1000001"])
    reason: Reason = Field(default="halted through the API", examples=["travelling"])


class HaltState(Record):
    """A halt in force; scope is an account id or ``all``."""

    scope: str
    reason: str
    by: str
    since: datetime


class Done(BaseModel):
    """What became of it."""

    message: str


class ApprovalState(Record):
    """A plan that waits for a person; orders are USD by symbol, sells negative."""

    id: int
    event_id: UUID
    account_id: str
    reasons: list[str]
    orders: dict[str, Number]
    asked_at: datetime
    silent_at: datetime | None = Field(description="When silence counts as consent.")
    expires_at: datetime


class NewSchedule(BaseModel):
    """A request at the market open."""

    model_config = ConfigDict(extra="forbid")

    account_id: str = Field(examples=["DU1000001"])
    command: Literal["rebalance", "print-rebalance"] = "rebalance"
    recurrence: Recurrence = Recurrence.ONCE
    first_on: date | None = Field(
        default=None,
        ge=date(2000, 1, 1),
        le=date(2199, 12, 31),
        description="Day in New York of the first one; today without it.",
    )


class ScheduleState(Record):
    """A schedule and when it is due next."""

    id: int
    account_id: str
    command: Command
    recurrence: Recurrence
    first_on: date
    next_at: datetime
    created_by: str


@contextmanager
def _nothing_waits() -> Iterator[None]:
    try:
        yield
    except RequestRefused as refused:
        raise HTTPException(404, str(refused)) from refused


@router.get("/halts", dependencies=[ReadAllowed], responses=READING)
def list_halts(services: ServicesOf) -> list[HaltState]:
    """Halts in force, oldest first."""
    return [HaltState.model_validate(one) for one in halts_and_approvals.halted(services)]


@router.post("/halts", responses={**CHANGING, **NOT_FOUND})
def halt(services: ServicesOf, caller: Operator, new: NewHalt) -> Done:
    """Stop trading; what is due meanwhile is held."""
    scope = services.accounts().get(new.account_id).account_id if new.account_id is not None else EVERYTHING
    caller.note(services, "halt", scope, reason=new.reason)
    made = halts_and_approvals.halt(services, new.account_id, new.reason, caller.name)
    return Done(message=f"Halted {new.account_id or 'everything'}" if made else "Was halted already")


@router.delete("/halts/{scope}", responses={**CHANGING, **NOT_FOUND})
def resume(services: ServicesOf, caller: Trader, scope: str) -> Done:
    """Lift the halt of an account or of ``all``; what it held runs at once."""
    if scope not in {one.scope for one in halts_and_approvals.halted(services)}:
        raise HTTPException(404, f"No halt of {scope} is in force")
    caller.note(services, "resume", scope)
    freed = halts_and_approvals.resume(services, None if scope == EVERYTHING else scope, caller.name)
    return Done(message=f"Resumed; {freed} held events are due")


@router.get("/approvals", dependencies=[ReadAllowed], responses=READING)
def list_approvals(services: ServicesOf) -> list[ApprovalState]:
    """Plans that wait for a person, oldest first."""
    return [ApprovalState.model_validate(one) for one in halts_and_approvals.waiting(services)]


@router.post("/approvals/{event_id}/approve", responses={**CHANGING, **NOT_FOUND})
def approve(services: ServicesOf, caller: Approver, event_id: UUID, plan: PlanId = None) -> Done:
    """Let a waiting plan be traded at once, unless it has moved too far since it was made."""
    caller.note(services, "approve", str(event_id))
    with _nothing_waits():
        halts_and_approvals.approve(services, event_id, caller.name, plan)
    return Done(message=f"Approved event {event_id}")


@router.post("/approvals/{event_id}/reject", responses={**CHANGING, **NOT_FOUND})
def reject(services: ServicesOf, caller: Approver, event_id: UUID, plan: PlanId = None) -> Done:
    """Refuse a waiting plan; this ends its event, unless it was asked for more since: then it is planned anew."""
    caller.note(services, "reject", str(event_id))
    with _nothing_waits():
        state = halts_and_approvals.reject(services, event_id, caller.name, plan)
    return Done(message=f"Rejected the plan of event {event_id}, which is {state}")


@router.get("/schedules", dependencies=[ReadAllowed], responses=READING)
def list_schedules(services: ServicesOf) -> list[ScheduleState]:
    """Schedules, the next due first."""
    with services.ledger.begin() as session:
        return [ScheduleState.model_validate(one) for one in schedules.everything(session)]


@router.post("/schedules", responses={**CHANGING, **NOT_FOUND})
def add_schedule(services: ServicesOf, caller: Writer, new: NewSchedule) -> ScheduleState:
    """Ask for a rebalance at the market open, once or again and again."""
    account_id = _schedulable(services, caller, new)
    caller.note(services, "schedule", account_id, command=new.command, recurrence=new.recurrence)
    with services.ledger.begin() as session:
        return ScheduleState.model_validate(_scheduled(session, new, caller.name))


@router.put("/schedules/{schedule_id}", responses={**CHANGING, **NOT_FOUND})
def change_schedule(services: ServicesOf, caller: Writer, schedule_id: ScheduleId, new: NewSchedule) -> ScheduleState:
    """Put another schedule in the place of one; it has a number of its own."""
    caller.require(Scope.OPERATE)
    account_id = _schedulable(services, caller, new)
    detail = {"command": new.command, "recurrence": new.recurrence, "instead_of": schedule_id}
    caller.note(services, "schedule", account_id, **detail)
    with services.ledger.begin() as session:
        if not schedules.remove(session, schedule_id):
            raise HTTPException(404, f"No schedule {schedule_id}")
        return ScheduleState.model_validate(_scheduled(session, new, caller.name))


@router.delete("/schedules/{schedule_id}", responses={**CHANGING, **NOT_FOUND})
def remove_schedule(services: ServicesOf, caller: Operator, schedule_id: ScheduleId) -> Done:
    """Delete a schedule."""
    caller.note(services, "unschedule", str(schedule_id))
    with services.ledger.begin() as session:
        removed = schedules.remove(session, schedule_id)
    if not removed:
        raise HTTPException(404, f"No schedule {schedule_id}")
    return Done(message=f"Removed schedule {schedule_id}")


def _schedulable(services: Services, caller: Caller, new: NewSchedule) -> str:
    """The account that is meant, if the caller may ask for that."""
    caller.require(needed_for(Command(new.command)))
    return read_account(services.accounts(), new.account_id, services.settings.broker.trading_mode).account_id


def _scheduled(session: Session, new: NewSchedule, by: str) -> Schedule:
    now = datetime.now(UTC)
    made = schedules.add(
        session,
        new.account_id,
        Command(new.command),
        recurrence=new.recurrence,
        first_on=new.first_on or trading_day(now),
        now=now,
        by=by,
    )
    if made is None:
        raise RequestRefused("that market open has passed; give a later day as first_on")
    return made
