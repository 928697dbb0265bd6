"""Plans that are put before a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID


class ApprovalState(StrEnum):
    """What became of a plan that needed a person."""

    PENDING = "pending"
    APPROVED = "approved"
    USED = "used"
    """Approved, and its first order has been sent."""
    REJECTED = "rejected"
    REPLACED = "replaced"
    """Expired, or the plan had moved too far when it was approved: a newer one took its place."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A plan that was put before a person.

    Attributes:
        orders: USD by symbol, sells negative.
        silent_at: when silence counts as consent, ``None`` for never.
    """

    id: int
    event_id: UUID
    account_id: str
    state: ApprovalState
    reasons: tuple[str, ...]
    orders: dict[str, Decimal]
    plan: dict[str, Any]
    asked_at: datetime
    silent_at: datetime | None
    expires_at: datetime
    decided_by: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """What is put before a person; the fields are those of :class:`Approval`."""

    reasons: tuple[str, ...]
    orders: dict[str, Decimal]
    plan: dict[str, Any]
    silent_at: datetime | None
    expires_at: datetime
