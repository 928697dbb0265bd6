"""What the workers know of the gateways that they share."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.ledger.models.base import Base


class GatewayRow(Base):
    """One gateway, by the address at which the workers reach it."""

    __tablename__ = "gateways"

    address: Mapped[str] = mapped_column(primary_key=True)
    acknowledged_at: Mapped[datetime | None]
    """When it last took an order that travelled alone."""
    away_at: Mapped[datetime | None]
    """When a worker last found that nobody listens there."""
