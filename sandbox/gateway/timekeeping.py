"""How a gateway tells the time: its own zone, its own clock, and the forms in which it writes a moment."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.gateway import scenario

_MOMENTS = 2**15
_WRITTEN = re.compile(r"(?:(\d{8})([ -]))?(\d{1,2}:\d{2}:\d{2})(?: +(\S+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as a client has written it.

    Attributes:
        zoned: it says in which zone.
    """

    at: datetime
    zoned: bool


def moment(text: str, now: datetime, local: ZoneInfo) -> Moment | None:
    """Read ``yyyymmdd-hh:mm:ss``, which is UTC, or ``[yyyymmdd ]hh:mm:ss[ ZONE]``; ``None`` if it is neither.

    Args:
        now: its day is meant where none is named.
        local: the zone that is meant where none is named.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        return None
    day, mark, clock, name = found.groups()
    if mark == "-":
        name = "UTC"
    try:
        zone = ZoneInfo(name) if name else local
        on = datetime.strptime(day, "%Y%m%d").date() if day else now.astimezone(zone).date()  # noqa: DTZ007 - a day
        at = time.fromisoformat(clock.zfill(8))
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return None
    return Moment(datetime.combine(on, at, zone).astimezone(UTC), zoned=name is not None)


class Timekeeping:
    """The gateway's answers about time; moments are aware and true, only what is written of them differs. Of the same
    moment it is asked again and again: each list tells of all the day.

    Attributes:
        day: the gateway's own date, which limits its lists of executions and completed orders.
        stamp: the time of an execution, in the form that the scenario asks for.
    """

    def __init__(self, settings: scenario.Gateway) -> None:
        self.settings = settings
        self._ahead = timedelta(seconds=float(settings.clock_ahead_s))
        self._zone = ZoneInfo(settings.time_zone)
        self.day: Callable[[datetime], date] = lru_cache(_MOMENTS)(self._day)
        self.stamp: Callable[[datetime], str] = lru_cache(_MOMENTS)(self._stamp)

    def now(self, moment: datetime) -> datetime:
        """What the gateway's clock shows at ``moment``."""
        return moment + self._ahead

    def connection_time(self, moment: datetime) -> str:
        """Second field of the version frame."""
        local = self._local(moment)
        return f"{local:%Y%m%d %H:%M:%S} {self.settings.zone_name or f'{local:%Z}'}"

    def _day(self, moment: datetime) -> date:
        return self._local(moment).date()

    def _stamp(self, moment: datetime) -> str:
        if self.settings.execution_time == "utc":
            return f"{self.now(moment).astimezone(UTC):%Y%m%d-%H:%M:%S}"
        text = f"{self._local(moment):%Y%m%d %H:%M:%S}"
        return text if self.settings.execution_time == "local" else f"{text} {self._name}"

    @property
    def _name(self) -> str:
        return self.settings.zone_name or self.settings.time_zone

    def _local(self, moment: datetime) -> datetime:
        return self.now(moment).astimezone(self._zone)
