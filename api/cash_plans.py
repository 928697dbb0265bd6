"""Cash that is to be settled by a day."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, ConfigDict, Field

from api.auth import ReadAllowed, Trader
from api.decisions import Done
from api.problems import CHANGING, NOT_FOUND, READING
from api.state import ServicesOf
from api.values import Number, Record
from rebalancer.domain.cash_plans import CashPlanState
from rebalancer.domain.errors import RequestRefused
from rebalancer.operations import cash_plans

router = APIRouter(prefix="/cash-plans", tags=["control"])

PlanNumber = Annotated[int, Path(ge=1, le=2**63 - 1)]


class NewCashPlan(BaseModel):
    """USD beyond the reserve, to be settled by a day."""

    model_config = ConfigDict(extra="forbid")

    account_id: str = Field(examples=["DU1000001"])
    amount: Decimal = Field(gt=0, le=1_000_000_000, allow_inf_nan=False, examples=[5000])
    by: date = Field(ge=date(2000, 1, 1), le=date(2199, 12, 31), description="Day in New York.")


class CashPlanRecord(Record):
    """A plan whose day has not passed."""

    id: int
    account_id: str
    amount: Number
    by: date
    sells_at: datetime
    state: CashPlanState = Field(description="planned; asked: an event has it; raised: kept until its day has passed.")
    event_id: UUID | None
    created_by: str


@router.get("", dependencies=[ReadAllowed], responses=READING)
def list_cash_plans(services: ServicesOf) -> list[CashPlanRecord]:
    """Plans whose day has not passed, the next sale first."""
    return [CashPlanRecord.model_validate(one) for one in cash_plans.in_force(services)]


@router.post("", responses={**CHANGING, **NOT_FOUND})
def add_cash_plan(services: ServicesOf, caller: Trader, new: NewCashPlan) -> CashPlanRecord:
    """Have cash settled by a day: what is most above its target is sold in time."""
    caller.note(services, "raise-cash", new.account_id, amount=str(new.amount), by=new.by.isoformat())
    made = cash_plans.plan(services, new.account_id, new.amount, new.by, caller.name)
    return CashPlanRecord.model_validate(made)


@router.delete("/{plan_id}", responses={**CHANGING, **NOT_FOUND})
def cancel_cash_plan(services: ServicesOf, caller: Trader, plan_id: PlanNumber) -> Done:
    """End a plan: nothing is sold for it, or what was raised may be invested."""
    caller.note(services, "cancel-cash", str(plan_id))
    try:
        ended = cash_plans.cancel(services, plan_id, caller.name)
    except RequestRefused as refused:
        raise HTTPException(404, str(refused)) from refused
    return Done(message=cash_plans.what_is_left(ended))
