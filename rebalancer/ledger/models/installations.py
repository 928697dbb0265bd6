"""Who keeps this ledger, and orders of others who do the same elsewhere."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.ledger.models.base import Base


class InstallationRow(Base):
    """An installation that has kept this ledger; one at a time does."""

    __tablename__ = "installations"
    __table_args__ = (
        Index("uq_installations_current", text("(true)"), unique=True, postgresql_where=text("retired_at IS NULL")),
    )

    identity: Mapped[str] = mapped_column(primary_key=True)
    """Random; part of every order ref."""
    place: Mapped[str]
    """The database cluster and the database in it: a ledger that was copied to another place is another's."""
    made_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    retired_at: Mapped[datetime | None]
    """When the ledger was found restored or copied; NULL = this is us."""


class ForeignOrderRow(Base):
    """An order of our form at the broker that this ledger never intended."""

    __tablename__ = "foreign_orders"
    __table_args__ = (Index(None, "account_id"),)

    order_ref: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    accepted_at: Mapped[datetime | None]
    """When a person who knows of it resumed the account."""
    accepted_by: Mapped[str | None]
