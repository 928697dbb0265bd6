"""Serials: positions in the global order of publishes, and the series within which they are continuous.

A channel serial reads ``01795233775343-000@k3n4m5p6q7``. The part before ``@`` is the *position*: milliseconds and a
counter, of fixed width, so that positions compare as text. The part after it is the *series*: it changes whenever a
channel's continuity is broken, which is how an attachment that missed something is recognised, however far its position
has advanced since.
"""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass

START = "00000000000000-000"
_LARGEST_COUNTER = 999
_SERIAL = re.compile(r"(\d{14}-\d{3})@([a-z0-9]{10})")


@dataclass(frozen=True, slots=True)
class ChannelSerial:
    """Where a client stands on one channel."""

    position: str
    series: str

    def __str__(self) -> str:
        return f"{self.position}@{self.series}"


def parse_serial(text: str | None) -> ChannelSerial | None:
    """The serial that a client presents, or None if it presents none that this server could have issued."""
    found = _SERIAL.fullmatch(text) if text else None
    return ChannelSerial(found[1], found[2]) if found else None


def floor_position(at_ms: int) -> str:
    """The first position of a millisecond."""
    return f"{max(at_ms, 0):014d}-000"


def next_position(last: str, now_ms: int) -> str:
    """The position after ``last``: this millisecond, or the counter's next step while the clock has not passed it."""
    last_ms, counter = int(last[:14]), int(last[15:])
    if now_ms > last_ms:
        return floor_position(now_ms)
    if counter < _LARGEST_COUNTER:
        return f"{last_ms:014d}-{counter + 1:03d}"
    return floor_position(last_ms + 1)


def message_serial(serial: ChannelSerial, index: int) -> str:
    """The serial of one message of a batch."""
    return f"{serial}:{index:03d}"


def random_text(length: int) -> str:
    """Lower-case letters and digits: series, connection ids and the like."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))
