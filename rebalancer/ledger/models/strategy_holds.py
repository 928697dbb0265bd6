"""What holds all accounts of a strategy."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.domain.strategy_holds import HoldKind, HoldState
from rebalancer.ledger.models.base import Base
from rebalancer.ledger.states import sql_list as states


class StrategyHoldRow(Base):
    """A signal whose accounts wait: for a canary, or because several of them were refused."""

    __tablename__ = "strategy_holds"
    __table_args__ = (
        CheckConstraint(f"kind IN ({states(HoldKind)})", name="kind"),
        CheckConstraint(f"state IN ({states(HoldState)})", name="state"),
        Index(
            "uq_strategy_holds_open",
            "strategy",
            "kind",
            unique=True,
            postgresql_where=text("state IN ('trading', 'asked')"),
        ),
        Index(None, "signal_id"),
        Index(None, "event_id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str]
    strategy: Mapped[str]
    """Whose signal it is: the channel's name."""
    signal_id: Mapped[int] = mapped_column(ForeignKey("signals.id"))
    """The events that serve it wait, the canary's apart."""
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    """The canary's, or that of the account that was refused last."""
    account_id: Mapped[str]
    request_no: Mapped[int]
    """Of the signal among what that event was asked for: earlier attempts do not count."""
    state: Mapped[str]
    reasons: Mapped[Any] = mapped_column(JSONB, server_default=text("'[]'"))
    since: Mapped[datetime] = mapped_column(server_default=text("now()"))
    judge_by: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
