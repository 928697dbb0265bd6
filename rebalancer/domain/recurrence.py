"""When a scheduled rebalance is due: at the market open of a day that its owner chose."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import count

from rebalancer.domain.trading_sessions import market_open, trading_day

SATURDAY = 5
DAYS_A_WEEK = 7


class Recurrence(StrEnum):
    """How often."""

    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"


def next_occurrence(recurrence: Recurrence, first: date, after: datetime) -> datetime | None:
    """First occurrence later than ``after``; ``None`` when there is none.

    A day on a weekend moves to Monday, one that a month lacks to its last. On a holiday the request is made all the
    same: the run waits for the next open.

    Args:
        first: day of the first occurrence; the later ones keep its weekday or day of the month.
    """
    return next((moment for day in _days(recurrence, first, after) if (moment := market_open(day)) > after), None)


def first_day(recurrence: Recurrence, now: datetime) -> date:
    """Today in New York; for a single request the day of the next open, if today's has passed."""
    today = trading_day(now)
    if recurrence is not Recurrence.ONCE:
        return today
    following = next_occurrence(Recurrence.DAILY, today, now)
    return trading_day(following) if following else today


def _days(recurrence: Recurrence, first: date, after: datetime) -> Iterable[date]:
    """Days of occurrences, from one not later than needed on; without an end, but for the one of ``once``."""
    if recurrence is Recurrence.ONCE:
        return (_weekday(first),)
    if recurrence in (Recurrence.DAILY, Recurrence.WEEKLY):
        step = 1 if recurrence is Recurrence.DAILY else DAYS_A_WEEK
        skipped = max(0, ((after.date() - first).days - DAYS_A_WEEK) // step)
        return (_weekday(first + timedelta(days=number * step)) for number in count(skipped))
    step = 1 if recurrence is Recurrence.MONTHLY else 3
    months = (after.year - first.year) * 12 + after.month - first.month
    skipped = max(0, months // step - 1)
    return (_weekday(_months_later(first, number * step)) for number in count(skipped))


def _weekday(day: date) -> date:
    return day + timedelta(days=DAYS_A_WEEK - day.weekday()) if day.weekday() >= SATURDAY else day


def _months_later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
