"""Our identifier of an order: committed before the order is sent, and the broker's link back to it; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from uuid import UUID

LONGEST = 40
"""Characters that are known to come back from the broker unchanged."""
_FORM = re.compile(r"([0-9a-f]{12})-([0-9]{1,9})-([0-9]{2,4})(?:-([0-9a-f]{8}))?")


@dataclass(frozen=True, slots=True)
class OrderRef:
    """An order ref in parts; unique for ever by 48 random bits of its event.

    Attributes:
        event: the first twelve hexadecimal digits of the event's id.
        number: of the order within the attempt.
        installation: eight hexadecimal digits; ``None`` in refs of before installations had an identity.
    """

    event: str
    attempt: int
    number: int
    installation: str | None

    @classmethod
    def of(cls, event_id: UUID, attempt: int, number: int, installation: str) -> Self:
        """The ref of a new order."""
        return cls(event_id.hex[:12], attempt, number, installation)

    @classmethod
    def read(cls, text: str) -> Self | None:
        """``None`` for a ref of somebody else's form."""
        found = _FORM.fullmatch(text)
        return None if found is None else cls(found[1], int(found[2]), int(found[3]), found[4])

    def __str__(self) -> str:
        suffix = "" if self.installation is None else f"-{self.installation}"
        return f"{self.event}-{self.attempt}-{self.number:02d}{suffix}"
