"""Cash that people want settled by a day."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.ledger.models.base import Base


class CashPlanRow(Base):
    """An amount for one account; it holds until its day has passed or somebody ends it."""

    __tablename__ = "cash_plans"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(event_id IS NULL) = (request_no IS NULL)", name="request"),
        Index("ix_cash_plans_open", "account_id", postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    account_id: Mapped[str]
    amount: Mapped[Decimal]
    """USD beyond the reserve."""
    by: Mapped[date]
    """New York day at whose beginning it is to be settled."""
    sells_at: Mapped[datetime]
    keeps_until: Mapped[datetime]
    """The end of that day: until then no rebalance invests it."""
    event_id: Mapped[UUID | None]
    """That raises it, once it was asked for. Not a foreign key: the event may leave the ledger earlier."""
    request_no: Mapped[int | None]
    """Its number among what that event was asked for."""
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]
