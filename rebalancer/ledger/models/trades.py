"""Orders, what the broker said of them, fills, and the accounts before and after."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.ledger.models.base import Base

STOCK, EXCHANGED = "STK", "CASH"
"""IBKR's security types of what is traded: a stock, or currencies for each other."""


class Order(Base):
    """An order's intent, committed before it is sent, and what became of it."""

    __tablename__ = "orders"
    __table_args__ = (
        Index("ix_orders_unsettled", "account_id", postgresql_where=text("settled_at IS NULL")),
        Index(None, "event_id"),
        Index(None, "account_id", "created_at"),
        Index(None, "created_at"),
        Index("ix_orders_styled", "created_at", postgresql_where=text("style IS NOT NULL")),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("filled >= 0", name="filled"),
    )

    order_ref: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    attempt: Mapped[int]
    account_id: Mapped[str]
    symbol: Mapped[str]
    contract_id: Mapped[int]
    security_type: Mapped[str] = mapped_column(server_default="STK")
    """``CASH`` of a conversion of currencies, which is no trade of the strategy's."""
    side: Mapped[str]
    quantity: Mapped[int]
    order_type: Mapped[str]
    limit_price: Mapped[Decimal | None]
    time_in_force: Mapped[str]
    planned_price: Mapped[Decimal]
    planned_fee: Mapped[Decimal]
    reason: Mapped[str]
    style: Mapped[str | None]
    """See :class:`~rebalancer.domain.order_styles.OrderStyle`; NULL of an order that ORDER_TYPE alone decides."""
    style_why: Mapped[str | None]
    """What has decided it, in words."""
    style_instead_of: Mapped[str | None]
    """The style that it would have had."""
    status: Mapped[str]
    """``Planned`` until the broker said anything, then the broker's status."""
    filled: Mapped[Decimal] = mapped_column(default=Decimal(0))
    """What counts: the sum of the executions, or ``stated`` where that is more."""
    stated: Mapped[Decimal] = mapped_column(default=Decimal(0), server_default=text("0"))
    """Highest quantity that the broker has called filled, in whatever kind of message."""
    order_id: Mapped[int | None]
    client_id: Mapped[int | None]
    perm_id: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    final_at: Mapped[datetime | None] = mapped_column("settled_at")
    """When nothing more could follow; NULL = reconcile before this account's next plan."""


class OrderReport(Base):
    """Every status and code that the broker reported for an order, in order of arrival."""

    __tablename__ = "order_reports"
    __table_args__ = (Index(None, "order_ref", "id"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    order_ref: Mapped[str] = mapped_column(ForeignKey("orders.order_ref"))
    at: Mapped[datetime]
    status: Mapped[str]
    filled: Mapped[Decimal]
    remaining: Mapped[Decimal]
    code: Mapped[int | None]
    text: Mapped[str | None]
    confirmed: Mapped[bool]


class FillRow(Base):
    """One execution of one order, corrections applied; ``revision`` is the last part of IBKR's execution id."""

    __tablename__ = "fills"
    __table_args__ = (Index(None, "execution"), Index(None, "account_id", "at"), Index(None, "at"))

    order_ref: Mapped[str] = mapped_column(ForeignKey("orders.order_ref"), primary_key=True)
    execution: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int]
    account_id: Mapped[str]
    symbol: Mapped[str]
    security_type: Mapped[str] = mapped_column(server_default="STK")
    side: Mapped[str]
    at: Mapped[datetime]
    quantity: Mapped[Decimal]
    price: Mapped[Decimal]
    commission: Mapped[Decimal | None]
    currency: Mapped[str | None]
    realized: Mapped[Decimal | None]
    """Gain or loss that the broker books for it, in that currency; NULL where it closes nothing or nobody said."""
    stated: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """Known from the broker's statement alone: the gateway did not tell it in time."""


class SnapshotRow(Base):
    """What the broker said of an account at one moment of an attempt."""

    __tablename__ = "account_snapshots"
    __table_args__ = (
        # A day's last equity is read from the index alone.
        Index("ix_account_snapshots_looks", "account_id", "at", "id", postgresql_include=["net_liquidation"]),
        Index("ix_account_snapshots_flows", "account_id", "at", postgresql_where=text("flow IS NOT NULL")),
        Index(None, "event_id", "attempt"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    account_id: Mapped[str]
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    attempt: Mapped[int]
    moment: Mapped[str]
    """before or after."""
    at: Mapped[datetime]
    net_liquidation: Mapped[Decimal]
    cash: Mapped[Decimal]
    flow: Mapped[Decimal | None]
    """USD of cash that came (+) or went since the event before had last looked, though every position stayed. Where a
    position changed too, somebody may have traded by hand, and nothing is said.
    """
    flow_kind: Mapped[str | None]
    """What that was, see :class:`~rebalancer.domain.cash_flows.CashFlowKind`; NULL without one, or on an old record."""
    accrued_dividends: Mapped[Decimal | None]
    """USD that are yet to be paid; NULL on an old record."""
    settled_cash: Mapped[Decimal | None]
    available_funds: Mapped[Decimal | None]
    base: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    """{currency, rate, cash} of an account that is kept in another currency than USD."""
    positions: Mapped[Any] = mapped_column(JSONB)
    """List of {symbol, quantity, price}; price NULL for what is never traded. Weights are made when they are read: see
    :mod:`rebalancer.planning.weights`.
    """
