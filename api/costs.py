"""What trading cost against the prices at which it was decided."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.auth import ReadAllowed
from api.problems import READING
from api.state import ServicesOf
from api.values import AccountFilter, Limit, Number
from api.web.days import Day, span_of
from rebalancer.costs.records import order_record, summary_record
from rebalancer.costs.styles import by_style, style_record
from rebalancer.costs.summary import By, summarize
from rebalancer.ledger.queries import costs
from rebalancer.ledger.queries.costs import OrderSpan

router = APIRouter(prefix="/costs", tags=["accounts"], dependencies=[ReadAllowed])

RATE = "In hundredths of a percent of what was traded; null where nothing can be told."


class Percentiles(BaseModel):
    """Of the orders' costs in basis points, each order counting alike."""

    p10: Number
    p50: Number
    p90: Number


class Amounts(BaseModel):
    """USD that executions cost more (+) or less than at the arrival price; null where that cannot be told."""

    worth: Number | None = Field(description="What was traded, at the arrival price: the middle at the decision.")
    delay: Number | None = Field(description="The touch moved from the decision until the order was sized.")
    spread: Number | None = Field(description="From the middle to the touch at the decision.")
    impact: Number | None = Field(description="From the touch when it was sized to the executions.")
    commission: Number | None
    cost: Number | None = Field(description="Implementation shortfall: the four parts together, exactly.")
    basis_points: Number | None = Field(description=RATE)


class Summary(Amounts):
    """Orders together."""

    key: str = Field(examples=["2026-10"], description="Month, account, symbol, or event id and attempt of a run.")
    orders: int
    percentiles: Percentiles | None
    asked: Number = Field(description="USD that the orders asked for, at the arrival price.")
    filled: Number | None = Field(description="Part of that which was executed.")
    without_quote: int = Field(description="Executed orders that are in no amount: no quote of theirs is on record.")
    incomplete: int = Field(description="Orders of which executions or commissions are not all known.")


class Costs(BaseModel):
    """What orders cost: together, and by what they were put together."""

    together: Summary
    parts: list[Summary]


class StyleMonth(Amounts):
    """A month of one order style, with the walks that it left."""

    month: str = Field(examples=["2026-10"])
    style: str = Field(examples=["adaptive-normal"])
    orders: int
    percentiles: Percentiles | None
    asked: Number
    filled: Number | None = Field(description="Part of what its own orders asked for that these filled.")
    without_quote: int
    incomplete: int
    seconds: Number | None = Field(description="From the first order for a symbol to its last execution, the median.")
    fell_back: int = Field(description="Symbols of a run that it left over, or that were kept from it.")


class OrderCost(Amounts):
    """One order."""

    at: datetime
    account_id: str
    side: str
    symbol: str
    quantity: int
    filled: Number
    bid: Number | None
    ask: Number | None
    sized_at: Number = Field(description="The touch when it was sized, a moment before it was sent.")
    average_price: Number | None
    incomplete: bool
    event_id: UUID
    attempt: int
    order_ref: str


def span(account_id: AccountFilter = None, since: Day = None, until: Day = None) -> OrderSpan:
    """Days are of UTC, the last one included; without a first one the last three months."""
    return OrderSpan.lately_or(span_of(since, until), account_id)


Chosen = Annotated[OrderSpan, Depends(span)]


@router.get("", responses=READING)
def list_costs(services: ServicesOf, chosen: Chosen, by: By = By.MONTH) -> Costs:
    """Implementation shortfall of all orders together; months and runs newest first, the others dearest first."""
    found = summarize(costs.sent_orders(services.ledger, chosen), by)
    together, *parts = (Summary.model_validate(summary_record(one)) for one in (found.together, *found.parts))
    return Costs(together=together, parts=parts)


@router.get("/styles", responses=READING)
def list_style_costs(services: ServicesOf, chosen: Chosen) -> list[StyleMonth]:
    """Implementation shortfall by month and order style, newest month first, in it the dearest style."""
    found = by_style(costs.sent_orders(services.ledger, chosen))
    return [StyleMonth.model_validate(style_record(one)) for one in found]


@router.get("/orders", responses=READING)
def list_order_costs(services: ServicesOf, chosen: Chosen, limit: Limit = 100) -> list[OrderCost]:
    """Implementation shortfall of each order, newest first."""
    with services.ledger.begin() as session:
        return [OrderCost.model_validate(order_record(one)) for one in costs.newest_orders(session, chosen, limit)]
