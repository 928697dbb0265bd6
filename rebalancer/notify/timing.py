"""When the daily digest and the letters are due, and how long a failed message waits; pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rebalancer.domain.periods import WEEK, Period

FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(hours=1)
LATEST = timedelta(hours=6)
"""A digest that nobody could write for longer is left out: the next one is nearer."""
LATEST_LETTER = 3
"""Days: the same of a letter, of which the next one is far."""


def digest_day(now: datetime, at: time, zone: ZoneInfo) -> date | None:
    """The day, by the clocks of ``zone``, whose digest should have been written by now.

    A time that the clocks skip in spring is reached after the skip; one that they show twice, the first time.

    Returns:
        ``None`` when the newest one is too long ago.
    """
    today = now.astimezone(zone).date()
    for day in (today, today - timedelta(days=1)):
        moment = datetime.combine(day, at, zone).astimezone(UTC)
        if moment <= now:
            return day if now - moment <= LATEST else None
    return None


def weekly_day(now: datetime, weekday: int, at: time, zone: ZoneInfo) -> date | None:
    """The same for a reminder on one day of the week, 0 for Monday."""
    day = digest_day(now, at, zone)
    return day if day is not None and day.weekday() == weekday else None


def due_week(now: datetime, weekday: int, at: time, zone: ZoneInfo) -> Period | None:
    """The seven days before a day of the week, 0 for Monday, whose letter should have been written by now."""
    return _due(now, at, zone, lambda day: Period.week(day - WEEK) if day.weekday() == weekday else None)


def due_month(now: datetime, at: time, zone: ZoneInfo) -> Period | None:
    """The month whose letter should have been written by now, on the first day of the next one."""
    return _due(now, at, zone, lambda day: Period.month(day - timedelta(days=1)) if day.day == 1 else None)


def _due(now: datetime, at: time, zone: ZoneInfo, ended: Callable[[date], Period | None]) -> Period | None:
    """Of a day by the clocks of ``zone`` the period that has ended, also by UTC, where its days are."""
    today = now.astimezone(zone).date()
    for back in range(LATEST_LETTER + 1):
        day = today - timedelta(days=back)
        period = ended(day)
        if period is not None and max(datetime.combine(day, at, zone), period.ends_at) <= now:
            return period
    return None


def pause_after(tries: int) -> timedelta:
    """Until a message is tried again that has failed ``tries`` times, at least once."""
    doubled: timedelta = FIRST_PAUSE * 2 ** min(tries - 1, 20)
    return min(doubled, LONGEST_PAUSE)
