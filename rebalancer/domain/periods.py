"""The weeks and months that letters are about; their days are those of UTC. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

WEEK = timedelta(days=7)
_NAME = re.compile(r"(2\d{3})-(\d\d)(?:-(\d\d))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """A month, or seven days.

    Attributes:
        name: ``2026-10``, or the first day of the seven.
        end: the first day after it.
    """

    name: str
    first: date
    end: date

    @classmethod
    def month(cls, day: date) -> Self:
        """The one that has this day."""
        first = day.replace(day=1)
        return cls(f"{first:%Y-%m}", first, (first + timedelta(days=31)).replace(day=1))

    @classmethod
    def week(cls, first: date) -> Self:
        """The seven days that begin with this one."""
        return cls(first.isoformat(), first, first + WEEK)

    @classmethod
    def named(cls, name: str) -> Self:
        """The one of that name.

        Raises:
            ValueError: there is none.
        """
        found = _NAME.fullmatch(name)
        try:
            if found is not None:
                day = date(int(found[1]), int(found[2]), int(found[3] or 1))
                return cls.week(day) if found[3] else cls.month(day)
        except ValueError:
            pass  # no such day
        raise ValueError(f"{name!r} is neither a month as in 2026-10 nor the first day of a week as in 2026-10-26")

    @property
    def kind(self) -> str:
        """``month`` or ``week``."""
        return "month" if self.end - self.first > WEEK else "week"

    @property
    def begins_at(self) -> datetime:
        """Its first moment."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def ends_at(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.end, time(), UTC)

    def __str__(self) -> str:
        last = self.end - timedelta(days=1)
        if self.kind == "month":
            return f"{self.first:%B %Y}"
        return f"{self.first:%B} {self.first.day} to {last:%B} {last.day}, {last.year}"
