"""What people decide, or ask for in advance."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.domain.approvals import ApprovalState
from rebalancer.ledger.models.base import Base, Json
from rebalancer.ledger.states import sql_list as states


class HaltRow(Base):
    """Nothing may be sent: for one account, or for all."""

    __tablename__ = "halts"
    __table_args__ = (Index("uq_halts_active", "scope", unique=True, postgresql_where=text("lifted_at IS NULL")),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    scope: Mapped[str]
    """Account id, or ``all``."""
    reason: Mapped[str]
    by: Mapped[str]
    since: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None]


class ApprovalRow(Base):
    """A plan that waited, or waits, for a person."""

    __tablename__ = "approvals"
    __table_args__ = (
        CheckConstraint(f"state IN ({states(ApprovalState)})", name="state"),
        Index("uq_approvals_open", "event_id", unique=True, postgresql_where=text("state = 'pending'")),
        Index(None, "event_id", "attempt"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    attempt: Mapped[int]
    """The attempt that made the plan."""
    account_id: Mapped[str]
    plan: Mapped[Json] = mapped_column(JSONB)
    orders: Mapped[Json] = mapped_column(JSONB)
    """USD by symbol as text, sells negative: what an approval is compared with."""
    reasons: Mapped[Any] = mapped_column(JSONB)
    state: Mapped[str]
    asked_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    silent_at: Mapped[datetime | None]
    """When silence counts as consent; NULL = never."""
    expires_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]


class ScheduleRow(Base):
    """A request that the program makes of itself."""

    __tablename__ = "schedules"
    __table_args__ = (Index(None, "next_at"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    account_id: Mapped[str]
    command: Mapped[str]
    recurrence: Mapped[str]
    first_on: Mapped[date]
    next_at: Mapped[datetime]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
