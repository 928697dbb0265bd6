"""Statements of the broker, and how they compare with what is on record here."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Date, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.ledger.models.base import Base, Json


class FlexQueryRow(Base):
    """One query of the Flex web service, and how far its statement is."""

    __tablename__ = "flex_queries"

    query_id: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    """When it is next asked for; whoever asks moves it on first, so that nobody else does."""
    reference: Mapped[str | None]
    """Of the statement that is being made."""
    requested_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    """When a statement was last read."""
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    """In a row."""
    problem: Mapped[str | None]
    told: Mapped[bool] = mapped_column(server_default=text("false"))
    """People know of the problem."""


class StatementRow(Base):
    """An account at the end of one day as the broker states it, and what of it was not on record."""

    __tablename__ = "statements"

    account_id: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[date] = mapped_column(Date(), primary_key=True)
    """The day."""
    query_id: Mapped[str]
    read_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    digest: Mapped[str]
    """Of all that it says: the same statement is compared once."""
    compared_since: Mapped[date | None] = mapped_column(Date())
    """From where shares and cash were counted; NULL: only fills could be compared."""
    cash: Mapped[Decimal | None]
    """USD."""
    other_cash: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    """By currency, in it, as text; NULL on an old record, which kept dollars alone."""
    positions: Mapped[Json] = mapped_column(JSONB)
    """Shares by symbol, as text."""
    differences: Mapped[Any] = mapped_column(JSONB)
    """List of {kind, text, symbol, quantity, cash, currency}, numbers as text; an old record has dollars alone."""
    unexplained: Mapped[int]
    """How many of them nothing in the statement explains."""


class ClosedLotRow(Base):
    """Shares of one purchase that a sale has closed, as a statement has it."""

    __tablename__ = "closed_lots"
    __table_args__ = (Index(None, "account_id", "closed_at"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    account_id: Mapped[str]
    symbol: Mapped[str]
    closed_at: Mapped[datetime]
    """When they were sold, to the second."""
    opened: Mapped[date | None] = mapped_column(Date())
    """Day of the purchase; NULL where the statement does not say."""
    quantity: Mapped[Decimal]
    cost: Mapped[Decimal]
    """USD, commission included."""
    realized: Mapped[Decimal]
    """Gain (+) or loss, USD."""
