"""Tables that strategies' targets come from."""

from __future__ import annotations

from datetime import date, datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.auth import ReadAllowed, Trader
from api.problems import CHANGING, READING
from api.state import ServicesOf
from api.values import Record
from rebalancer.health import sources
from rebalancer.ledger.sources import SourceState
from rebalancer.operations.accepting import accept_table

router = APIRouter(prefix="/sources", tags=["signals"])


class SourceRecord(Record):
    """A source of the accounts file, and how its table is."""

    strategy: str
    kind: str = Field(examples=["file", "url"])
    place: str = Field(description="Of an address the host alone: the rest may be a secret.")
    followed: bool = Field(description="An account that is traded follows it; else nobody looks at it.")
    state: SourceState
    read_at: datetime | None
    changed_at: datetime | None
    as_of: date | None
    symbols: int
    problem: str | None
    changes: list[str] = Field(description="Of a table that waits to be accepted, in words.")


class Accepted(BaseModel):
    """What became of a table that had waited."""

    message: str
    strategy: str
    weights: dict[str, str] = Field(description="Fractions by symbol.")
    events: list[str]


@router.get("", dependencies=[ReadAllowed], responses=READING)
def list_sources(services: ServicesOf) -> list[SourceRecord]:
    """Tables in place of the allocations API; empty where no strategy has one."""
    with services.ledger.begin() as session:
        found = sources.listing(services.accounts(), services.settings.broker.trading_mode, session)
    return [SourceRecord.model_validate(one) for one in found]


@router.post("/{strategy}/accept", responses=CHANGING)
def accept(services: ServicesOf, caller: Trader, strategy: str) -> Accepted:
    """Follow a table that was refused because it has shrunk, jumped, or is older than the one before."""
    caller.note(services, "accept-source", strategy)
    accepted = accept_table(services, strategy, caller.name)
    return Accepted(
        message=f"accepted: {len(accepted.source.weights)} symbols, {len(accepted.event_ids)} events",
        strategy=strategy,
        weights={symbol: str(weight) for symbol, weight in accepted.source.weights.items()},
        events=[str(one) for one in accepted.event_ids],
    )
