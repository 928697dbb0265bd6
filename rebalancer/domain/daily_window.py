"""A span of each day, and the moment of the gateway's daily restart that has to lie in one. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_MOMENT = re.compile(r"(0?[1-9]|1[0-2]):([0-5]\d) ?([AP])M (\S+)", re.ASCII | re.IGNORECASE)
_BEFORE, _AFTER = timedelta(minutes=5), timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """From ``start`` to before ``end`` each day, by the clocks of ``zone``; over midnight if ``end`` is the earlier."""

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str) -> Self:
        """Read ``23:40-00:20``.

        Raises:
            ValueError: another form, nothing between start and end, or an unknown zone.
        """
        found = _SPAN.fullmatch(text)
        if found is None or found[1] + found[2] == found[3] + found[4]:
            raise ValueError(f"{text!r} is no span like 23:40-00:20")
        start, end = (time(int(found[at]), int(found[at + 1])) for at in (1, 3))
        return cls(start, end, _zone(zone))

    def end_of(self, now: datetime) -> datetime | None:
        """When the window that ``now`` lies in ends, UTC; ``None`` outside of it."""
        local = now.astimezone(self.zone)
        over_midnight = self.end < self.start
        late = local.time() >= self.start
        inside = (late or local.time() < self.end) if over_midnight else (late and local.time() < self.end)
        if not inside:
            return None
        day = local.date() + timedelta(days=1) if over_midnight and late else local.date()
        return datetime.combine(day, self.end, self.zone).astimezone(UTC)

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M} {self.zone.key}"


@dataclass(frozen=True, slots=True)
class DailyMoment:
    """A time of each day by the clocks of ``zone``."""

    at: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``11:45 PM America/New_York``: the time as IBC takes it.

        Raises:
            ValueError: another form, or an unknown zone.
        """
        found = _MOMENT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no time like 11:45 PM America/New_York")
        hour = int(found[1]) % 12 + (12 if found[3].upper() == "P" else 0)
        return cls(time(hour, int(found[2])), _zone(found[4]))

    def window(self) -> DailyWindow:
        """The minutes around it."""
        day = datetime.combine(date.min + timedelta(days=1), self.at)
        return DailyWindow((day - _BEFORE).time(), (day + _AFTER).time(), self.zone)

    def lies_in(self, window: DailyWindow) -> bool:
        """Whether the window holds it in every month, whichever of both zones changes its clocks."""
        days = (datetime.combine(date(2026, month, 15), self.at, self.zone) for month in range(1, 13))
        return all(window.end_of(day) is not None for day in days)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}") from error
