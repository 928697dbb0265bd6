"""Messages and requests, and how far each channel has been heard."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.ledger.models.base import Base
from rebalancer.ledger.states import SignalState
from rebalancer.ledger.states import sql_list as states


class Signal(Base):
    """One message received on a channel, or one manual or scheduled request; never discarded."""

    __tablename__ = "signals"
    __table_args__ = (
        Unique("channel", "message_id"),
        CheckConstraint(f"state IN ({states(SignalState)})", name="state"),
        Index(None, "received_at"),
        Index(None, "channel", "id"),
        Index("ix_signals_unusual", "state", "id", postgresql_where=text("state <> 'accepted'")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel: Mapped[str]
    """Strategy channel, or ``api``, ``cli``, ``schedule`` for requests."""
    message_id: Mapped[str]
    state: Mapped[str]
    command: Mapped[str | None]
    payload: Mapped[Any] = mapped_column(JSONB, nullable=True)
    remark: Mapped[str | None]
    """Why it was not taken literally, or why it reached no account."""
    published_at: Mapped[datetime | None]
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Channel(Base):
    """A strategy's channel, as far as the listener has heard it; every time only moves forward."""

    __tablename__ = "channels"

    channel: Mapped[str] = mapped_column(primary_key=True)
    first_seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    baseline_at: Mapped[datetime]
    """When it was first listened to (again): nothing published earlier is fetched from history."""
    checkpoint_at: Mapped[datetime | None]
    """Publication of the newest message on record."""
    complete_at: Mapped[datetime]
    """History has been read without a hole until here, by Ably's clock."""
    heard_until: Mapped[datetime]
    """Nothing can have been missed until here: proven by an answered ping or by history. Long ago = deaf since then."""
    attached_since: Mapped[datetime | None]
    trouble: Mapped[str | None]
    """Why it is not heard, or not fully."""
    left_at: Mapped[datetime | None]
    """Since when no enabled account follows it."""


class GapRow(Base):
    """A span in which signals of a channel may have been missed, and what was done about it."""

    __tablename__ = "gaps"
    __table_args__ = (
        Unique("channel", "since"),
        Index("ix_gaps_open", "id", postgresql_where=text("answered_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    channel: Mapped[str] = mapped_column(ForeignKey("channels.channel"))
    since: Mapped[datetime]
    until: Mapped[datetime]
    noticed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    answered_at: Mapped[datetime | None]
    remark: Mapped[str | None]
    signal_id: Mapped[int | None] = mapped_column(ForeignKey("signals.id"))
    """The signal that answered it, if it was answered by one."""
