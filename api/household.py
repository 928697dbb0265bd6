"""Taxes of a household: what sales have realized, and what trades of the last thirty days bind."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.auth import ReadAllowed
from api.problems import NOT_FOUND, READING
from api.state import ServicesOf
from api.values import AccountFilter, Number, Record
from rebalancer.domain.household import WashSales
from rebalancer.domain.portfolio import Side
from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.ledger.queries import household_trades
from rebalancer.realized_gains import Gain, Source
from rebalancer.risk.wash_sales import WINDOW, Window, windows
from rebalancer.services import Services

router = APIRouter(prefix="/household", tags=["accounts"], dependencies=[ReadAllowed])

Year = Annotated[int | None, Query(ge=2000, le=2999, description="Tax year in New York; this one unless said.")]


class GainState(Record):
    """Shares that were sold out of one lot; USD."""

    account_id: str
    symbol: str
    opened: date | None = Field(description="Day of the purchase; null where it is not known.")
    closed: date
    quantity: Number
    proceeds: Number = Field(description="Commission taken off.")
    cost: Number | None = Field(description="Commission included; null where nobody says.")
    broker: Number | None = Field(description="What the broker has booked for these shares.")
    gain: Number | None
    term: str = Field(description="`long` (more than a year), `short`, or `unknown`.")
    source: Source = Field(description="Of the statement's lots, of executions first in first out, or the broker's.")


class WindowState(Record):
    """A symbol of which an order would make a wash sale now, in whichever account."""

    symbol: str
    side: Side = Field(description="Of such an order; a sale makes one only where it is at a loss.")
    why: str
    free_from: date


@router.get("/gains", responses={**READING, **NOT_FOUND})
def list_gains(services: ServicesOf, year: Year = None, account_id: AccountFilter = None) -> list[GainState]:
    """Realized gains of a year, by day."""
    return [GainState.model_validate(one) for one in gains_of(services, year, account_id)]


@router.get("/wash-sales", responses=READING)
def list_windows(services: ServicesOf) -> list[WindowState]:
    """What trades of the last thirty days bind; empty while WASH_SALES is off."""
    return [WindowState.model_validate(one) for one in windows_now(services)]


def this_year() -> int:
    """In New York."""
    return trading_day(datetime.now(UTC)).year


def gains_of(services: Services, year: int | None, account_id: str | None) -> list[Gain]:
    """Of one account, or of all."""
    known = services.accounts()
    ids = [one.account_id for one in known] if account_id is None else [known.get(account_id).account_id]
    with services.ledger.begin() as session:
        return household_trades.realized_gains(session, ids, this_year() if year is None else year)


def windows_now(services: Services) -> tuple[Window, ...]:
    """Nothing while nobody wants to know."""
    if services.settings.risk.wash_sales is WashSales.OFF:
        return ()
    now = datetime.now(UTC)
    with services.ledger.begin() as session:
        return windows(household_trades.lately(session, day_start(trading_day(now) - WINDOW)), now)
