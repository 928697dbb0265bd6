"""Recorded runs by other settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.auth import ReadAllowed
from api.problems import NOT_FOUND, READING
from api.state import ServicesOf
from api.values import AccountFilter, Number, Record
from api.web.days import Day, span_of
from rebalancer.operations.replays import REPLAYED, replay_of
from rebalancer.replay.runs import Skipped
from rebalancer.replay.wording import notes, rows

router = APIRouter(prefix="/replay", tags=["accounts"], dependencies=[ReadAllowed])

From = Annotated[Day, Query(alias="from", description="Day of UTC; a year ago unless said.")]
To = Annotated[Day, Query(alias="to", description="Day of UTC, which is included.")]
Changes = Annotated[
    list[Annotated[str, Field(max_length=64)]],
    Query(alias="set", max_length=20, description="NAME=VALUE; may be repeated.", examples=["DRIFT_BAND_PERCENT=2"]),
]


class FigureState(Record):
    """A figure beside what it would have been; null where there is no plan."""

    name: str = Field(examples=["turnover"])
    unit: Literal["count", "usd", "fraction"]
    was: Number | None
    would: Number | None


class FiguresState(Record):
    """What a plan does, at its quotes; amounts in USD, drift as a share of investable equity."""

    plans: int
    orders: int
    turnover: Number
    spread: Number
    commission: Number
    drift_found: Number
    drift_left: Number


class StepState(Record):
    """One plan beside what it would have been."""

    account_id: str
    event_id: UUID
    at: datetime
    was: FiguresState | None
    would: FiguresState | None
    skipped: Skipped | None = Field(description="Why it is not compared; null where it is.")
    why: str | None


class ReplayState(BaseModel):
    """What was, beside what would have been."""

    figures: list[FigureState]
    worth: Number | None = Field(
        description="USD that the accounts would be worth more (+) or less at their newest runs, costs included, "
        "dividends not; null where a price is missing."
    )
    notes: list[str]
    differing: list[StepState] = Field(description="Plans that would have been others, oldest first.")


@router.get("", responses={**READING, **NOT_FOUND})
def replay(
    services: ServicesOf,
    changes: Changes = [],  # noqa: B006 - FastAPI's declarative default
    since: From = None,
    until: To = None,
    account_id: AccountFilter = None,
) -> ReplayState:
    """Plan the recorded runs once more by other settings; nothing is traded, and nothing is asked of the broker."""
    first = since or datetime.now(UTC).date() - REPLAYED
    found = replay_of(services, changes, account_id, span_of(first, until))
    return ReplayState(
        figures=[FigureState.model_validate(one) for one in rows(found)],
        worth=found.worth,
        notes=list(notes(found)),
        differing=[StepState.model_validate(step) for step in found.steps if step.differs],
    )
