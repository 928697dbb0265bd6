"""Cash that is to be there on a day: when to sell for it, so that it has settled. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from rebalancer.domain.trading_sessions import is_weekday, market_open, trading_day, weekday_after, weekday_before

SETTLES_AFTER = 1
"""Weekdays from the sale of a US stock to its cash (T+1, since 2024-05-28)."""
IN_HAND = 1
"""Weekdays more: a holiday in between, or one on which the exchange trades and no bank settles, is made up for."""
LATEST_SALE = timedelta(hours=6)
"""After the open; a request that comes later is for the next day."""


class CashPlanState(StrEnum):
    """How far it is."""

    PLANNED = "planned"
    """Its day of sale has not come."""
    ASKED = "asked"
    """An event has it."""
    RAISED = "raised"
    """The cash was raised, and is kept until the end of its day."""


@dataclass(frozen=True, slots=True)
class CashPlan:
    """Cash that is to be settled by a day.

    Attributes:
        amount: USD beyond the reserve.
        by: New York day at whose beginning it is to be settled.
        sells_at: when it is asked for.
        event_id: that raises it; ``None`` before.
    """

    id: int
    account_id: str
    amount: Decimal
    by: date
    sells_at: datetime
    state: CashPlanState
    event_id: UUID | None
    created_by: str


def sale_time(by: date, now: datetime) -> datetime:
    """When to ask for the sale: as late as it may be with a weekday in hand, at the open; or at once.

    Raises:
        ValueError: no sale from now on settles by then; names the first day by which one does.
    """
    today = trading_day(now)
    first = today
    if not is_weekday(today) or now >= market_open(today) + LATEST_SALE:
        first = weekday_after(today)
    settled = weekday_after(first, SETTLES_AFTER)
    if settled > by:
        raise ValueError(f"what is sold on {first} has settled on {settled}: give that day or a later one, not {by}")
    last = by if is_weekday(by) else weekday_before(by)
    return max(now, market_open(max(first, weekday_before(last, SETTLES_AFTER + IN_HAND))))
