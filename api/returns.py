"""What accounts earned, and where they differ from their strategies."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, HTTPException
from pydantic import Field

from api.auth import ReadAllowed
from api.problems import NOT_FOUND, READING, Problem, Responses
from api.state import ServicesOf
from api.values import Number, Record
from api.web.days import Day, span_of
from rebalancer.ledger.queries.account_returns import account_returns
from rebalancer.returns.wording import NOTHING
from rebalancer.returns.worlds import Part

router = APIRouter(prefix="/accounts", tags=["accounts"], dependencies=[ReadAllowed])

UNMEASURED: Responses = {409: {"model": Problem, "description": "Nothing is to be measured yet."}}


class PerformanceState(Record):
    """What became of the money; rates are fractions over the span, those of a year null for less than one."""

    final: Number = Field(description="USD at the end.")
    time_weighted: Number
    money_weighted: Number | None
    time_weighted_annual: Number | None
    money_weighted_annual: Number | None


class PartState(Record):
    """What one thing makes of the gap; negative where it cost."""

    part: Part
    usd: Number
    rate: Number = Field(description="Of the time-weighted return, a fraction.")


class ReturnsState(Record):
    """An account beside its strategy, from the first rebalance in the span to the newest look."""

    account_id: str
    begin: datetime
    end: datetime
    runs: int
    start: Number
    came: Number = Field(description="USD that came (+) or went.")
    earned: Number
    account: PerformanceState
    strategy: PerformanceState | None = Field(description="Null where a price is not on record, which untold names.")
    replaced: bool = Field(description="The strategy is taken after replacements.")
    gap: Number | None = Field(description="USD, account less strategy; the parts add up to it exactly.")
    gap_rate: Number | None
    parts: list[PartState]
    untold: list[str]


@router.get("/{account_id}/returns", responses={**READING, **NOT_FOUND, **UNMEASURED})
def returns(services: ServicesOf, account_id: str, since: Day = None, until: Day = None) -> ReturnsState:
    """Time-weighted and money-weighted return, that of the strategy, and what the gap is made of; days are of UTC, the
    last one included.
    """
    services.accounts().get(account_id)
    with services.ledger.begin() as session:
        found = account_returns(session, account_id, span_of(since, until))
    if found is None:
        raise HTTPException(409, f"Account {account_id}: {NOTHING}")
    return ReturnsState.model_validate(found)
