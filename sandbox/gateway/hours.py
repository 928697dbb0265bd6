"""Session hours as IBKR writes them, generated around a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sandbox.gateway import scenario

ZONE_NAME = "US/Eastern"
ZONE = ZoneInfo("America/New_York")
_OPENS, _CLOSES = time(9, 30), time(16, 0)
_EXTENDED_OPENS, _EXTENDED_CLOSES = time(4, 0), time(20, 0)
_DAYS = 6
_SATURDAY = 5


def trading_day(now: datetime) -> date:
    """New York's date."""
    return now.astimezone(ZONE).date()


@dataclass(frozen=True, slots=True)
class Hours:
    """The simulated exchange's opening hours, or those of an instrument that has its own."""

    market: scenario.Market
    local: scenario.LocalHours | None = None

    def liquid(self, now: datetime) -> str:
        """``liquidHours`` of contract details: today and the days after."""
        return self._text(now, extended=False)

    def trading(self, now: datetime) -> str:
        """``tradingHours`` of contract details."""
        return self._text(now, extended=True)

    def is_open(self, now: datetime) -> bool:
        """True inside a liquid session."""
        session = self._session(trading_day(now), trading_day(now), extended=False)
        return session is not None and session[0] <= now < session[1]

    def close_of(self, now: datetime) -> datetime | None:
        """End of the liquid session that ``now`` is in; ``None`` outside of one, and where the next follows at once."""
        session = self._session(trading_day(now), trading_day(now), extended=False)
        if session is None or not session[0] <= now < session[1] or self.is_open(session[1]):
            return None
        return session[1]

    def close_after(self, moment: datetime) -> datetime | None:
        """End of the session that ``moment`` is in, or of the next one."""
        return self.close_of(moment if self.is_open(moment) else self.next_open(moment))

    def next_open(self, now: datetime) -> datetime:
        """Start of the next liquid session after ``now``."""
        today = trading_day(now)
        for days in range(1 + 366):
            session = self._session(today + timedelta(days=days), today, extended=False)
            if session and session[0] > now:
                return session[0]
        raise ValueError("the scenario's market never opens again")

    def _text(self, now: datetime, *, extended: bool) -> str:
        today = trading_day(now)
        # An exchange that never closes has not opened at midnight either.
        first = -1 if self.market.mode == "open" else 0
        days = [today + timedelta(days=days) for days in range(first, _DAYS)]
        zone = ZoneInfo(self.zone_name)
        return ";".join(_entry(day, self._session(day, today, extended=extended), zone) for day in days)

    def _session(self, day: date, today: date, *, extended: bool) -> tuple[datetime, datetime] | None:
        """Start and end in UTC, ``None`` when closed; ``open`` runs from midnight to midnight, every day."""
        if self.market.mode == "open":
            return self._whole(day)
        if self.market.mode == "closed" and day <= today:
            return None
        if day.weekday() >= _SATURDAY or (self.local is None and day in self.market.holidays):
            return None
        opens, closes = self._times(day, extended=extended)
        return self._at(day, opens), self._at(day, closes)

    def _whole(self, day: date) -> tuple[datetime, datetime] | None:
        starts, ends = self._at(day, time(0)), self._at(day + timedelta(days=1), time(0))
        closes = self.market.closes
        if closes is None or not starts <= closes < ends:
            return starts, ends
        return (starts, closes.astimezone(UTC)) if starts < closes else None

    def _times(self, day: date, *, extended: bool) -> tuple[time, time]:
        if self.local:
            return self.local.opens, self.local.closes
        closes = self.market.early_closes.get(day)
        if extended:
            return _EXTENDED_OPENS, _EXTENDED_CLOSES if closes is None else time(17, 0)
        return _OPENS, closes or _CLOSES

    @property
    def zone_name(self) -> str:
        """As contract details name it."""
        return self.local.zone if self.local else ZONE_NAME

    def _at(self, day: date, clock: time) -> datetime:
        return datetime.combine(day, clock, ZoneInfo(self.zone_name)).astimezone(UTC)


def _entry(day: date, session: tuple[datetime, datetime] | None, zone: ZoneInfo) -> str:
    if session is None:
        return f"{day:%Y%m%d}:CLOSED"
    starts, ends = (moment.astimezone(zone) for moment in session)
    return f"{starts:%Y%m%d:%H%M}-{ends:%Y%m%d:%H%M}"
