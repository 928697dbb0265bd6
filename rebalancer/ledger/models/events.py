"""Events, the signals that they serve, and their attempts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.money import ZERO
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.ledger.models.base import Base, Json
from rebalancer.ledger.states import EventState
from rebalancer.ledger.states import sql_list as states


class Event(Base):
    """One command for one account; at most one active event per account and command, besides one being removed."""

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint(f"state IN ({states(EventState)})", name="state"),
        CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
        CheckConstraint("state <> 'held' OR rule IS NOT NULL", name="rule"),
        CheckConstraint("(state = 'held' AND coalesce(rule, '') = 'halt') = (halt_id IS NOT NULL)", name="halt"),
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
        Index(
            "ix_events_succeeded",
            "account_id",
            "command",
            "finished_at",
            postgresql_where=text("state = 'succeeded'"),
        ),
        Index("ix_events_leases", "lease_until", postgresql_where=text("state = 'running'")),
        Index(None, "created_at"),
        Index(None, "finished_at"),
        Index(None, "account_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    command: Mapped[str]
    exclusive: Mapped[bool]
    """The command touches orders: never beside another such command on the same account."""
    strategy: Mapped[str]
    gateway: Mapped[str] = mapped_column(default=MAIN_GATEWAY, server_default=text("'main'"))
    """Name of the gateway whose workers run it; as the accounts file had it when it was last asked for or looked at."""
    state: Mapped[str]
    reason: Mapped[str]
    """Why it is in this state, in one word or sentence for a person; nothing is decided by it."""
    rule: Mapped[str | None]
    """What a waiting event waits by: the rule that holds it, or that refused its newest attempt."""
    halt_id: Mapped[int | None] = mapped_column(ForeignKey("halts.id"))
    """The halt that holds it. The plan that may hold it is the pending one of its approvals, a time is ``due_at``."""
    data: Mapped[Json] = mapped_column(JSONB)
    """Payload of the newest signal that it serves, for people; what is asked for is in its requests."""
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    due_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    requested_generation: Mapped[int] = mapped_column("wanted", default=1)
    """Signals merged so far."""
    observed_generation: Mapped[int] = mapped_column("taken", default=0)
    """``requested_generation`` as it stood at the newest claim; a run that ends with less has one more after it."""
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
    """Which event serves a signal, and as its how-many-th request."""

    __tablename__ = "signal_events"
    __table_args__ = (
        CheckConstraint(f"kind IN ({states(RebalanceMode)})", name="kind"),
        CheckConstraint("(kind = 'raise-cash') = (amount > 0) AND amount >= 0", name="amount"),
        Index(None, "event_id", "wish"),
    )

    signal_id: Mapped[int] = mapped_column(ForeignKey("signals.id"), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    request_no: Mapped[int] = mapped_column("wish")
    """The ``requested_generation`` that this signal caused: served by the first success that has observed at least
    that, among those of its kind or of one that covers it.
    """
    kind: Mapped[str] = mapped_column(default=RebalanceMode.FULL, server_default=text("'full'"))
    """Of the rebalance that it asks for."""
    amount: Mapped[Decimal] = mapped_column(default=ZERO, server_default=text("0"))
    """USD to raise; 0 for the other kinds."""


class Attempt(Base):
    """One execution of an event by a worker, with everything that it decided on."""

    __tablename__ = "attempts"

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    observed_generation: Mapped[int] = mapped_column("taken")
    """The event's ``requested_generation`` as it stood at the claim: of the requests up to there it serves those of its
    kind.
    """
    kind: Mapped[str] = mapped_column(default=RebalanceMode.FULL, server_default=text("'full'"))
    """Of the rebalance that it is."""
    amount: Mapped[Decimal] = mapped_column(default=ZERO, server_default=text("0"))
    """USD that it raises; 0 for the other kinds."""
    worker: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    """See :class:`~rebalancer.ledger.states.Outcome`; NULL while it runs."""
    error: Mapped[str | None]
    refused: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """It failed for what a person has to resolve: a rule, an order that the broker rejected, the configuration."""
    inputs: Mapped[Any] = mapped_column(JSONB, nullable=True)
    """Targets with their dates, weights after replacement, quotes with times and data type, snapshot."""
    plan: Mapped[Any] = mapped_column(JSONB, nullable=True)
    result: Mapped[Any] = mapped_column(JSONB, nullable=True)
