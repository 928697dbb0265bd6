"""Tables of the ledger, the one truth about signals, events, attempts, orders and fills.

Money, prices and quantities are NUMERIC, times are timestamps with time zone; JSON columns keep decimals as text.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, MetaData, Numeric, Text, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rebalancer.ledger.states import ApprovalState, EventState, SignalState
from rebalancer.ledger.states import sql_list as states

Json = dict[str, Any]


class Base(DeclarativeBase):
    """Naming convention and column types that all tables share."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declarative attribute
        str: Text(),
        datetime: DateTime(timezone=True),
        Decimal: Numeric(),
        int: BigInteger(),
        Json: JSONB(),
        Any: JSONB(),
    }


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


class Gap(Base):
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


class Event(Base):
    """One command for one account; at most one active event per account and command, besides one being removed."""

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint(f"state IN ({states(EventState)})", name="state"),
        CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
        Index(
            "uq_events_active_key",
            "account_id",
            "command",
            unique=True,
            postgresql_where=text("state IN ('queued', 'retrying', 'held', 'running') AND NOT remove_requested"),
        ),
        Index(
            "uq_events_one_hand",
            "account_id",
            unique=True,
            postgresql_where=text("state = 'running' AND exclusive"),
        ),
        Index("ix_events_due", "due_at", postgresql_where=text("state IN ('queued', 'retrying', 'held')")),
        Index(
            "ix_events_active",
            "created_at",
            "id",
            postgresql_where=text("state IN ('queued', 'retrying', 'held', 'running')"),
        ),
        Index(
            "ix_events_rebalanced",
            "account_id",
            "created_at",
            postgresql_where=text("command = 'rebalance' AND state = 'succeeded'"),
        ),
        Index("ix_events_leases", "lease_until", postgresql_where=text("state = 'running'")),
        Index(None, "created_at"),
        Index(None, "account_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    command: Mapped[str]
    exclusive: Mapped[bool]
    """The command touches orders: never beside another such command on the same account."""
    strategy: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str]
    """Why it is in this state, in one word or sentence for a person."""
    data: Mapped[Json] = mapped_column(JSONB)
    """Payload of the newest signal that it serves."""
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    due_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    wanted: Mapped[int] = mapped_column(default=1)
    """Signals merged so far."""
    taken: Mapped[int] = mapped_column(default=0)
    """``wanted`` as it stood at the newest claim."""
    attempt: Mapped[int] = mapped_column(default=0)
    """Number of claims; the fencing number of the running one."""
    times_queued: Mapped[int] = mapped_column(default=1)
    failures: Mapped[int] = mapped_column(default=0)
    """Failures in a row since the last success or new start."""
    refusals: Mapped[int] = mapped_column(default=0)
    """Failures in a row that a person has to resolve."""
    crashes: Mapped[int] = mapped_column(default=0)
    """Lost workers in a row."""
    last_error: Mapped[str | None]
    needs_attention: Mapped[bool] = mapped_column(default=False)
    remove_requested: Mapped[bool] = mapped_column(default=False)
    """An operator ended it: it takes no more signals, and stops as soon as its orders are accounted for."""
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None]
    dispatch_no: Mapped[int] = mapped_column(default=0)
    """Number of messages published for it; part of each message's task id."""
    dispatched_at: Mapped[datetime | None]


class SignalEvent(Base):
    """Which event serves a signal, and as its how-many-th wish."""

    __tablename__ = "signal_events"
    __table_args__ = (Index(None, "event_id", "wish"),)

    signal_id: Mapped[int] = mapped_column(ForeignKey("signals.id"), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    wish: Mapped[int]
    """Value of ``events.wanted`` that this signal caused: served by the first success with ``taken`` at least that."""


class Attempt(Base):
    """One execution of an event by a worker, with everything that it decided on."""

    __tablename__ = "attempts"

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    taken: Mapped[int]
    """Wishes of the event that this attempt serves if it succeeds."""
    worker: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    """succeeded, failed, held, removed or lost; NULL while it runs."""
    error: Mapped[str | None]
    inputs: Mapped[Any] = mapped_column(JSONB, nullable=True)
    """Targets with their dates, weights after replacement, quotes with times and data type, snapshot."""
    plan: Mapped[Any] = mapped_column(JSONB, nullable=True)
    result: Mapped[Any] = mapped_column(JSONB, nullable=True)


class Order(Base):
    """An order's intent, committed before it is sent, and what became of it."""

    __tablename__ = "orders"
    __table_args__ = (
        Index("ix_orders_unsettled", "account_id", postgresql_where=text("settled_at IS NULL")),
        Index(None, "event_id"),
        Index(None, "account_id", "created_at"),
        Index(None, "created_at"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("filled >= 0", name="filled"),
    )

    order_ref: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    attempt: Mapped[int]
    account_id: Mapped[str]
    symbol: Mapped[str]
    contract_id: Mapped[int]
    side: Mapped[str]
    quantity: Mapped[int]
    order_type: Mapped[str]
    limit_price: Mapped[Decimal | None]
    time_in_force: Mapped[str]
    planned_price: Mapped[Decimal]
    planned_fee: Mapped[Decimal]
    reason: Mapped[str]
    status: Mapped[str]
    """``Planned`` until the broker said anything, then the broker's status."""
    filled: Mapped[Decimal] = mapped_column(default=Decimal(0))
    order_id: Mapped[int | None]
    client_id: Mapped[int | None]
    perm_id: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    settled_at: Mapped[datetime | None]
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
    side: Mapped[str]
    at: Mapped[datetime]
    quantity: Mapped[Decimal]
    price: Mapped[Decimal]
    commission: Mapped[Decimal | None]
    currency: Mapped[str | None]


class SnapshotRow(Base):
    """What the broker said of an account at one moment of an attempt."""

    __tablename__ = "account_snapshots"
    __table_args__ = (Index(None, "account_id", "at"), Index(None, "event_id", "attempt"))

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    account_id: Mapped[str]
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    attempt: Mapped[int]
    moment: Mapped[str]
    """before or after."""
    at: Mapped[datetime]
    net_liquidation: Mapped[Decimal]
    cash: Mapped[Decimal]
    settled_cash: Mapped[Decimal | None]
    available_funds: Mapped[Decimal | None]
    positions: Mapped[Any] = mapped_column(JSONB)
    """List of {symbol, quantity, price, weight}; price and weight NULL for what is never traded."""


class Halt(Base):
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
    """Fingerprint of the key that was used; never the key."""
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
