"""Rebalance an account, or show what that would do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Operator, Trader
from api.problems import CHANGING, NOT_FOUND
from api.state import ServicesOf
from api.values import BaseState, Number, WaitSeconds
from api.waiting import answered, ask
from rebalancer.domain.commands import Command
from rebalancer.ledger.states import EventState
from rebalancer.operations.requests import Asked
from rebalancer.services import Services

router = APIRouter(prefix="/rebalance", tags=["rebalance"])


class EquityInfo(BaseModel):
    """What the targets are shares of, USD."""

    total_equity: Number = Field(examples=[100000.0])
    reserve_percentage: Number = Field(examples=[1.0])
    reserve_amount: Number = Field(examples=[1000.0])
    available_for_trading: Number = Field(examples=[99000.0])
    base: BaseState | None = Field(
        default=None,
        exclude_if=lambda base: base is None,
        description="Absent for an account that is kept in USD.",
    )


class ResultOrder(BaseModel):
    """An order: proposed by a dry run; sent, with what became of it, by a live one. Amounts in USD."""

    model_config = ConfigDict(extra="ignore")

    symbol: str = Field(examples=["AAPL"])
    quantity: int = Field(examples=[10])
    action: str = Field(examples=["BUY"])
    market_value: Number | None = Field(examples=[1500.0])
    price: Number | None = None
    commission: Number | None = None
    filled: Number | None = None
    status: str | None = None
    order_ref: str | None = None
    reason: str | None = None
    style: str | None = Field(default=None, description="How it is worked; absent where ORDER_TYPE alone decides.")
    style_why: str | None = None
    style_instead_of: str | None = None


class CancelledOrder(BaseModel):
    """An order that was open before, whoever placed it."""

    model_config = ConfigDict(extra="ignore")

    order_id: str = Field(examples=["1"])
    symbol: str
    quantity: Number
    action: str
    order_type: str
    status: str


class RebalanceResult(BaseModel):
    """What became of the request. With status ``error`` the event is tried again by itself."""

    model_config = ConfigDict(extra="ignore")

    account_id: str = Field(examples=["DU123456"])
    execution_mode: Literal["dry_run", "live"]
    equity_info: EquityInfo | None = None
    orders: list[ResultOrder] = Field(default_factory=list)
    cancelled_orders: list[CancelledOrder] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    status: Literal["success", "error"]
    message: str = Field(examples=["Dry run rebalancing completed successfully"])
    timestamp: datetime
    event_id: UUID


class Pending(BaseModel):
    """There is no result yet; ``GET /queue/events/{event_id}`` will have it."""

    account_id: str
    execution_mode: Literal["dry_run", "live"]
    status: Literal["pending"] = "pending"
    message: str
    state: EventState
    due_at: datetime
    event_id: UUID


@router.post(
    "/{account_id}",
    responses={**CHANGING, **NOT_FOUND, 202: {"model": Pending, "description": "Accepted; no result yet."}},
)
async def rebalance(
    services: ServicesOf, caller: Trader, response: Response, account_id: str, wait_s: WaitSeconds = 60
) -> RebalanceResult | Pending:
    """Bring the account to its targets with real orders; answers with the result, or after ``wait_s`` without one."""
    asked = await ask(services, caller, account_id, Command.REBALANCE, via="POST /rebalance")
    return await _shown(services, response, asked, wait_s)


@router.post(
    "/{account_id}/dry-run",
    responses={**CHANGING, **NOT_FOUND, 202: {"model": Pending, "description": "Accepted; no result yet."}},
)
async def dry_run(
    services: ServicesOf, caller: Operator, response: Response, account_id: str, wait_s: WaitSeconds = 60
) -> RebalanceResult | Pending:
    """The same plan; nothing is sent or cancelled."""
    asked = await ask(services, caller, account_id, Command.PRINT_REBALANCE, via="POST /rebalance")
    return await _shown(services, response, asked, wait_s)


async def _shown(services: Services, response: Response, asked: Asked, wait_s: float) -> RebalanceResult | Pending:
    found = await answered(services, asked, wait_s)
    facts: dict[str, Any] = {
        "account_id": asked.account.account_id,
        "execution_mode": "live" if asked.command is Command.REBALANCE else "dry_run",
        "event_id": asked.event_id,
    }
    if found.result is not None:
        return RebalanceResult.model_validate(found.result | facts)
    if found.is_final:
        message = found.error or f"the event was {found.state}: {found.reason}"
        return RebalanceResult(**facts, status="error", message=message, timestamp=datetime.now(UTC))
    response.status_code = 202
    return Pending(**facts, message=found.reason, state=found.state, due_at=found.due_at)
