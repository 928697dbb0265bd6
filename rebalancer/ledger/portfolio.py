"""How far each account is from its targets, from its newest snapshot and the plan that was made from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from rebalancer.commands import Command
from rebalancer.ledger.models import Attempt, Event, SnapshotRow
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState
from rebalancer.money import ZERO


@dataclass(frozen=True, slots=True)
class Holding:
    """One position of a snapshot; price (USD) and weight are ``None`` for what is never traded."""

    symbol: str
    quantity: Decimal
    price: Decimal | None
    weight: Decimal | None


@dataclass(frozen=True, slots=True)
class WeightLine:
    """One symbol against its target, as fractions of investable equity."""

    symbol: str
    current: Decimal
    target: Decimal

    @property
    def drift(self) -> Decimal:
        """current - target."""
        return self.current - self.target


@dataclass(frozen=True, slots=True)
class Portfolio:
    """An account at the moment of its newest snapshot."""

    account_id: str
    at: datetime
    event_id: UUID
    net_liquidation: Decimal
    cash: Decimal
    holdings: tuple[Holding, ...]
    lines: tuple[WeightLine, ...]

    @property
    def drift(self) -> Decimal | None:
        """Share of equity that would have to change hands: half the sum of all drifts; ``None`` without targets."""
        return sum((abs(line.drift) for line in self.lines), ZERO) / 2 if self.lines else None


@dataclass(frozen=True, slots=True)
class Runs:
    """When an account was last rebalanced, and when it will be next."""

    last_rebalance_at: datetime | None
    last_event_id: UUID | None
    next_due_at: datetime | None
    next_event_id: UUID | None
    next_state: EventState | None


def portfolio(session: Session, account_id: str) -> Portfolio | None:
    """The newest snapshot, or ``None`` before the first (dry) run."""
    row = session.scalars(
        select(SnapshotRow)
        .where(SnapshotRow.account_id == account_id)
        .order_by(SnapshotRow.at.desc(), SnapshotRow.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    plan = session.scalars(
        select(Attempt.plan).where(Attempt.event_id == row.event_id, Attempt.number == row.attempt)
    ).one_or_none()
    holdings = tuple(_holding(position) for position in row.positions)
    lines = _lines(plan, holdings, row.net_liquidation) if plan else ()
    return Portfolio(account_id, row.at, row.event_id, row.net_liquidation, row.cash, holdings, lines)


def runs(session: Session, account_id: str) -> Runs:
    """Last successful and next live rebalance."""
    mine = (Event.account_id == account_id, Event.command == Command.REBALANCE)
    last = session.execute(
        select(Event.finished_at, Event.id)
        .where(*mine, Event.state == EventState.SUCCEEDED)
        .order_by(Event.created_at.desc())
        .limit(1)
    ).one_or_none()
    coming = session.execute(
        select(Event.due_at, Event.id, Event.state)
        .where(*mine, Event.state.in_(ACTIVE))
        .order_by(Event.remove_requested)
        .limit(1)
    ).one_or_none()
    return Runs(
        last and last.finished_at,
        last and last.id,
        coming and coming.due_at,
        coming and coming.id,
        EventState(coming.state) if coming else None,
    )


def equity_over_time(session: Session, account_id: str, limit: int = 200) -> list[tuple[datetime, Decimal]]:
    """Net liquidation in USD at the newest snapshots, oldest first."""
    rows = session.execute(
        select(SnapshotRow.at, SnapshotRow.net_liquidation)
        .where(SnapshotRow.account_id == account_id)
        .order_by(SnapshotRow.at.desc())
        .limit(limit)
    )
    return [(row.at, row.net_liquidation) for row in rows][::-1]


def _holding(position: dict[str, Any]) -> Holding:
    def number(key: str) -> Decimal | None:
        return None if position.get(key) is None else Decimal(position[key])

    return Holding(position["symbol"], Decimal(position["quantity"]), number("price"), number("weight"))


def _lines(plan: dict[str, Any], holdings: tuple[Holding, ...], equity: Decimal) -> tuple[WeightLine, ...]:
    """Weights of the snapshot, which are shares of equity, made comparable with the plan's targets."""
    investable = Decimal(plan["investable"])
    scale = equity / investable if investable > 0 else ZERO
    current = {one.symbol: one.weight * scale for one in holdings if one.weight is not None}
    targets = {line["symbol"]: Decimal(line["target_weight"]) for line in plan["lines"]}
    symbols = sorted(current.keys() | {symbol for symbol, weight in targets.items() if weight})
    return tuple(WeightLine(symbol, current.get(symbol, ZERO), targets.get(symbol, ZERO)) for symbol in symbols)
