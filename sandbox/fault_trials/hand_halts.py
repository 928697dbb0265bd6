"""Halts by a person, as they are seen from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class HandHalt:
    """A halt that is surely in force ``since`` then; ``until`` somebody began to lift it."""

    account_id: str
    since: datetime
    until: datetime | None = None
