"""Signs of life, changes that were asked for, and what people are told."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.ledger.models.base import Base, Json


class Component(Base):
    """When a process of ours was last seen at work, and what it said of itself."""

    __tablename__ = "components"

    name: Mapped[str] = mapped_column(primary_key=True)
    """``beat`` or ``worker``."""
    host: Mapped[str] = mapped_column(primary_key=True)
    """Identity of the process."""
    seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    detail: Mapped[Json] = mapped_column(JSONB)


class AuditRow(Base):
    """A change that somebody asked for, written before it was made."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "at"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    actor: Mapped[str]
    """Name or fingerprint of the key that was used, or who has signed in or typed; never the key."""
    address: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    """What it was done to: an event id or an account."""
    detail: Mapped[Json] = mapped_column(JSONB)


class NoticeRow(Base):
    """A fact that people may be told of, written by the transaction that made it true."""

    __tablename__ = "notices"
    __table_args__ = (
        Unique("key"),
        Index(None, "at"),
        Index("ix_notices_unrouted", "id", postgresql_where=text("routed_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    kind: Mapped[str]
    account_id: Mapped[str | None]
    """Whom it concerns; NULL = everybody."""
    event_id: Mapped[UUID | None]
    """Not a foreign key: a message may outlive its event."""
    detail: Mapped[Json] = mapped_column(JSONB)
    key: Mapped[str | None]
    """What must be told once only, for example a day's digest."""
    routed_at: Mapped[datetime | None]
    """When it was decided who is told."""


class DeliveryRow(Base):
    """A fact on its way to one target."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_waiting", "target", "due_at", postgresql_where=text("ended_at IS NULL")),
        CheckConstraint("NOT sent OR ended_at IS NOT NULL", name="sent"),
    )

    notice_id: Mapped[int] = mapped_column(ForeignKey("notices.id"), primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    """Name of the target; its URL is a secret and stays in the settings."""
    box: Mapped[str]
    """Deliveries of one target and box travel together."""
    due_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    """Until when somebody is sending it; also the token of whoever does."""
    last_error: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    sent: Mapped[bool] = mapped_column(default=False)
    """Whether it was sent when it ended; otherwise it was given up."""
