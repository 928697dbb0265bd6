"""Spans of time that people ask about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute


@dataclass(frozen=True, slots=True)
class Span:
    """From ``since`` on, and before ``until``; ``None`` leaves out nothing."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, at: InstrumentedAttribute[Any]) -> Iterator[ColumnElement[bool]]:
        """Conditions on a column of times."""
        if self.since is not None:
            yield at >= self.since
        if self.until is not None:
            yield at < self.until

    def from_then_on(self, at: InstrumentedAttribute[Any]) -> Iterator[ColumnElement[bool]]:
        """Conditions on what may follow what lies in the span."""
        return Span(self.since).holds(at)
