"""What time it is at the gateway, and when something happened there, from its texts. Pure: ``now`` is an argument.

Gateways write zone names that the IANA database lacks (``JST``, ``China Standard Time``, ``EDT``), or none for their
own local time, and clocks are wrong at times. So a name is believed only as far as the gateway's own clock bears it
out, and a pushed execution, which is seconds old, only as far as its arrival does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

PUSH_DELAY = timedelta(minutes=10)
"""A push that claims to be older, or younger, than this is taken for one of now."""
_LISTED = timedelta(days=8)
"""Gateways list the executions of a week at most."""
_NOTHING = timedelta(0)
_TICK = timedelta(seconds=1)
_STEP = timedelta(minutes=15)
_MIDNIGHT = timedelta(seconds=10)
"""Clocks that tell whole seconds leave open on which day something at midnight was."""
_WIDEST = timedelta(hours=15)
_MOMENT = re.compile(r"\s*(\d{4})-?(\d\d)-?(\d\d)(-|\s+)(\d{1,2}):(\d\d):(\d\d)(?:\.\d+)?\s*(.*?)\s*", re.ASCII)
_OFFSET = re.compile(r"(?:GMT|UTC)\s*([+-])(\d{1,2}):?(\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ExecutionTime:
    """When something happened, UTC.

    Attributes:
        doubt: why the gateway's own text was not believed, if so.
    """

    at: datetime
    doubt: str | None = None


class GatewayTime:
    """How one gateway tells the time, learnt from what it has said since connecting.

    Attributes:
        ahead: how far its clock is proven to be ahead of ours; negative: behind. It tells whole seconds.
    """

    def __init__(self) -> None:
        self.ahead = _NOTHING
        self._greeting = ""
        self._greeted_at: datetime | None = None

    def greeted(self, connection_time: str, now: datetime) -> None:
        """The handshake's connection time: ``<yyyymmdd hh:mm:ss TZ>``, the gateway's local time."""
        self._greeting, self._greeted_at = connection_time, now

    def compare(self, theirs: datetime, asked_at: datetime, answered_at: datetime) -> timedelta:
        """An answer to the question for the time, in whole seconds, told some time between question and answer.

        Returns:
            The least difference that it proves.
        """
        least, most = theirs - answered_at, theirs + _TICK - asked_at
        self.ahead = max(least, _NOTHING) + min(most, _NOTHING)
        return self.ahead

    @property
    def zone(self) -> tzinfo | None:
        """The gateway's own zone; ``None`` if it did not say.

        The name counts if the wall clock bears it out: ``EST`` is written in summer too. Else the offset does that
        wall clock and our own make together.
        """
        stamp = _split(self._greeting)
        if stamp is None or self._greeted_at is None:
            return None
        wall, _, name = stamp
        instant = self._greeted_at + self.ahead
        offset = _STEP * round((wall - instant.astimezone(UTC).replace(tzinfo=None)) / _STEP)
        named = _named(name)
        if abs(offset) > _WIDEST or (named is not None and instant.astimezone(named).utcoffset() == offset):
            return named
        return timezone(offset)

    def day_start(self, now: datetime) -> datetime:
        """Midnight in the gateway's zone, by its clock, at the latest that it can have been; ``now`` where the zone is
        unknown.
        """
        zone = self.zone
        if zone is None:
            return now
        local = (now + self.ahead + _MIDNIGHT).astimezone(zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
        return min(midnight - self.ahead + _MIDNIGHT, now)

    def read(self, text: str, now: datetime) -> datetime | None:
        """A moment as the gateway writes it, UTC; ``None`` if it cannot be read.

        With a hyphen and no zone it is UTC, without either the gateway's local time.
        """
        stamp = _split(text)
        if stamp is None:
            return datetime.fromtimestamp(int(text), UTC) if text.isdigit() and len(text) in {10, 11} else None
        wall, universal, name = stamp
        if universal and not name:
            zone: tzinfo | None = UTC
        else:
            own = self.zone
            same = own is not None and name == _name(self._greeting)
            zone = own if not name or same else _named(name) or own
        moment = wall.replace(tzinfo=zone or UTC).astimezone(UTC)
        return moment if abs(moment - now) < timedelta(days=366) else None

    def executed_at(self, text: str, arrived: datetime, *, pushed: bool) -> ExecutionTime:
        """When an execution happened, checked against its arrival."""
        told = self.read(text, arrived)
        oldest = arrived - (PUSH_DELAY if pushed else _LISTED)
        if told is not None and oldest <= told <= arrived + PUSH_DELAY:
            return ExecutionTime(told)
        why = "cannot be read" if told is None else f"would be {told.isoformat()}"
        return ExecutionTime(arrived, f"the execution's time {text!r} {why}; it arrived at {arrived.isoformat()}")


def connection_time(data: bytes) -> str:
    """Second field of the version frame, which is the first of a connection; empty while it is incomplete."""
    length = int.from_bytes(data[:4])
    fields = data[4 : 4 + length].decode(errors="backslashreplace").split("\0")
    return fields[1] if len(data) >= 4 + length and len(fields) == 3 else ""


@lru_cache(maxsize=256)
def _split(text: str) -> tuple[datetime, bool, str] | None:
    """Wall time, whether a hyphen joins date and time, and the name of the zone, if any."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day, joint, hour, minute, second, name = match.groups()
    try:
        wall = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))  # noqa: DTZ001
    except ValueError:
        return None
    return wall, joint == "-", name


def _name(text: str) -> str:
    stamp = _split(text)
    return stamp[2] if stamp else ""


@lru_cache(maxsize=256)
def _named(name: str) -> tzinfo | None:
    """The zone of that name; ``None`` if nobody knows it."""
    if match := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        return timezone(offset if match[1] == "+" else -offset) if offset <= _WIDEST else None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
