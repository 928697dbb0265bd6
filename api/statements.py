"""The broker's statements, and how they compare with the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.auth import ReadAllowed
from api.problems import READING
from api.state import ServicesOf
from api.values import AccountFilter, Record
from rebalancer.ledger import statements
from rebalancer.statements.content import Kind

router = APIRouter(prefix="/statements", tags=["accounts"])


class DifferenceRecord(Record):
    """What the statement has beyond the ledger, negative where it has less; one for each currency that moved."""

    kind: Kind
    text: str
    symbol: str = Field(description="Empty where no stock is concerned.")
    quantity: Decimal = Field(description="Shares.")
    cash: Decimal = Field(description="In `currency`.")
    currency: str


class StatementRecord(Record):
    """An account at the end of a day as the broker states it."""

    account_id: str
    last: date = Field(description="The day.")
    read_at: datetime
    compared_since: date | None = Field(description="From where shares and cash were counted; null: only fills were.")
    cash: Decimal | None = Field(description="USD.")
    other_cash: Mapping[str, Decimal] | None = Field(
        description="By currency, in it; null: an early version has kept dollars alone."
    )
    positions: Mapping[str, Decimal] = Field(description="Shares by symbol.")
    differences: list[DifferenceRecord]
    unexplained: int = Field(description="How many of them nothing in the statement explains.")


@router.get("", dependencies=[ReadAllowed], responses=READING)
def list_statements(
    services: ServicesOf, account_id: AccountFilter = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> list[StatementRecord]:
    """Newest first; empty while statements are off."""
    with services.ledger.begin() as session:
        found = statements.recent(session, account_id, limit)
    return [StatementRecord.model_validate(one) for one in found]
