"""When the daily digest is due, and how long a failed message waits; pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(hours=1)
LATEST = timedelta(hours=6)
"""A digest that nobody could write for longer is left out: the next one is nearer."""


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


def pause_after(tries: int) -> timedelta:
    """Until a message is tried again that has failed ``tries`` times, at least once."""
    doubled: timedelta = FIRST_PAUSE * 2 ** min(tries - 1, 20)
    return min(doubled, LONGEST_PAUSE)
