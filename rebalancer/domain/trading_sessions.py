"""Trading sessions from IBKR's text of liquid or trading hours; the only module that knows New York time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

_RANGE = re.compile(r"(?:(\d{8}):)?(\d{4})-(?:(\d{8}):)?(\d{4})", re.ASCII)
_CLOSED = re.compile(r"\d{8}:CLOSED", re.ASCII)
_NO_DELAY = timedelta(0)
_EASTERN = "America/New_York"
_SATURDAY = 5
_ALIASES = {"EST": _EASTERN, "EST5EDT": _EASTERN, "US/Eastern": _EASTERN}


@dataclass(frozen=True, slots=True)
class TradingSession:
    """A span in which trading is possible, UTC; the end no longer belongs to it."""

    start: datetime
    end: datetime


@lru_cache(maxsize=256)
def parse(text: str, zone_name: str) -> tuple[TradingSession, ...]:
    """Read ``20261123:0930-20261123:1600;20261126:CLOSED``, also the older form ``20261123:0930-1200,1300-1600``.

    Args:
        zone_name: IBKR's, for example ``US/Eastern``; its ``EST`` means New York, daylight saving included.

    Returns:
        Sessions in order of time; those that touch or overlap are one.

    Raises:
        ValueError: anything else, quoting it: unknown hours are not open hours.
    """
    zone = _zone(zone_name)
    days = [day.strip() for day in text.split(";") if day.strip()]
    if not days:
        raise ValueError(f"no trading hours in {text!r}")
    try:
        sessions = [session for day in days if not _CLOSED.fullmatch(day) for session in _day(day, zone)]
    except ValueError as error:
        raise ValueError(f"malformed trading hours {text!r}: {error}") from error
    return _merge(sorted(sessions, key=lambda session: session.start))


def is_open(sessions: Sequence[TradingSession], now: datetime) -> bool:
    """Whether ``now`` lies in a session."""
    return any(session.start <= now < session.end for session in sessions)


def next_open(
    sessions: Sequence[TradingSession], now: datetime, delay: timedelta = _NO_DELAY, cutoff: timedelta = _NO_DELAY
) -> datetime | None:
    """First moment from ``now`` on that is at least ``delay`` after a session's start and more than ``cutoff`` before
    its end: ``now`` itself if it qualifies, ``None`` if no known session offers one.
    """
    for session in sessions:
        moment = max(now, session.start + delay)
        if moment < session.end - cutoff:
            return moment
    return None


def next_morning(now: datetime) -> datetime:
    """09:30 of the next weekday in New York: what was sold today has settled by then, unless it is a holiday."""
    local = now.astimezone(ZoneInfo(_EASTERN))
    day = weekday_after(local.date())
    return datetime.combine(day, time(9, 30), ZoneInfo(_EASTERN)).astimezone(UTC)


def in_new_york(moment: datetime) -> datetime:
    """The same moment by New York's clocks."""
    return moment.astimezone(ZoneInfo(_EASTERN))


def from_new_york(local: datetime) -> datetime:
    """The moment at which New York's clocks show that."""
    return local.replace(tzinfo=ZoneInfo(_EASTERN)).astimezone(UTC)


def trading_day(moment: datetime) -> date:
    """New York's date."""
    return in_new_york(moment).date()


def day_start(day: date) -> datetime:
    """Midnight in New York."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(_EASTERN)).astimezone(UTC)


def is_weekday(day: date) -> bool:
    """Whether the exchange opens that day, unless it is a holiday."""
    return day.weekday() < _SATURDAY


def weekday_after(day: date, number: int = 1) -> date:
    """The so-many-th weekday after a day."""
    for _ in range(number):
        day += timedelta(days=1)
        while not is_weekday(day):
            day += timedelta(days=1)
    return day


def weekday_before(day: date, number: int = 1) -> date:
    """The so-many-th weekday before a day."""
    for _ in range(number):
        day -= timedelta(days=1)
        while not is_weekday(day):
            day -= timedelta(days=1)
    return day


def market_open(day: date) -> datetime:
    """09:30 in New York, whether or not the exchange opens that day."""
    return datetime(day.year, day.month, day.day, 9, 30, tzinfo=ZoneInfo(_EASTERN)).astimezone(UTC)


def _zone(name: str) -> ZoneInfo:
    bare = name.split(" ", 1)[0]
    try:
        return ZoneInfo(_ALIASES.get(bare, bare))
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}") from error


def _day(text: str, zone: ZoneInfo) -> list[TradingSession]:
    """Sessions of one day; in the older form only the first of them carries the date."""
    sessions = []
    date = None
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise ValueError(repr(part))
        date = match[1] or date
        if date is None:
            raise ValueError(f"{part!r} has no date")
        session = TradingSession(_utc(date, match[2], zone), _utc(match[3] or date, match[4], zone))
        if session.end <= session.start:
            raise ValueError(f"{part!r} ends before it starts")
        sessions.append(session)
    return sessions


def _utc(date: str, time: str, zone: ZoneInfo) -> datetime:
    return datetime.strptime(date + time, "%Y%m%d%H%M").replace(tzinfo=zone).astimezone(UTC)


def _merge(sessions: list[TradingSession]) -> tuple[TradingSession, ...]:
    """Join sessions that touch, so that a cut-off applies to the end of the day and not to a seam within it."""
    seams = [0, *(i for i, (a, b) in enumerate(pairwise(sessions), 1) if b.start > a.end), len(sessions)]
    groups = [sessions[start:end] for start, end in pairwise(seams) if start < end]
    return tuple(TradingSession(group[0].start, max(session.end for session in group)) for group in groups)
