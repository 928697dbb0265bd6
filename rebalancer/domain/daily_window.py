"""A span of each day, for example the minutes around the gateway's nightly restart. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


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
        try:
            return cls(start, end, ZoneInfo(zone))
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {zone!r}") from error

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
