"""What a fact's words are, and what may be shown in them; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from rebalancer.domain.notices import Notice
from rebalancer.notify.privacy import Discretion


@dataclass(frozen=True, slots=True)
class Wording:
    """How a fact is told.

    Attributes:
        headline: a few words for the title, after the account's name.
        text: one sentence or more, for the body.
    """

    headline: str
    text: str


def without_links(_notice: Notice) -> str | None:
    """Nothing can be decided from the message itself."""
    return None


@dataclass(frozen=True, slots=True)
class Style:
    """What may be shown, and whose clock is used.

    Attributes:
        link: the address at which whoever reads the message decides on the plan that it tells of.
        page: the address of the web page as readers reach it.
    """

    discretion: Discretion
    zone: ZoneInfo
    link: Callable[[Notice], str | None] = without_links
    page: str | None = None

    def moment(self, text: str | None) -> str:
        """A time from ISO 8601, for a person; ``never`` without one."""
        return "never" if text is None else f"{datetime.fromisoformat(text).astimezone(self.zone):%b %-d %H:%M %Z}"

    def clock(self, at: datetime) -> str:
        """A time with its day, short, for the beginning of a line."""
        return f"{at.astimezone(self.zone):%b %-d %H:%M}"


Teller = Callable[[Notice, Style], Wording]
"""Says facts of one kind."""
