"""How far each account is from its targets, from its newest snapshot and the plan that was made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Subquery, Text, cast, func, select, true

from rebalancer.domain.commands import Command
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import BaseCurrency
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ledger.models import Attempt, Event, SnapshotRow
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState
from rebalancer.planning.weights import CASH, WeightLine, counted_cash, held_weights, weigh


@dataclass(frozen=True, slots=True)
class Holding:
    """One position of a snapshot; price (USD) and weight are ``None`` for what is not counted."""

    symbol: str
    quantity: Decimal
    price: Decimal | None
    weight: Decimal | None


@dataclass(frozen=True, slots=True)
class Portfolio:
    """An account at the moment of its newest snapshot.

    Attributes:
        lines: what is held against its target, cash last; empty without a plan.
        previous_equity: USD at the close before, as the broker said then; ``None`` where it did not.
        base: ``None`` for an account that is kept in dollars.
    """

    account_id: str
    at: datetime
    event_id: UUID
    net_liquidation: Decimal
    cash: Decimal
    holdings: tuple[Holding, ...]
    lines: tuple[WeightLine, ...]
    previous_equity: Decimal | None
    base: BaseCurrency | None = None

    def gain_today(self, now: datetime) -> Decimal | None:
        """USD since the last close; ``None`` when the snapshot is of another day than ``now``, or it is not known."""
        if self.previous_equity is None or trading_day(self.at) != trading_day(now):
            return None
        return self.net_liquidation - self.previous_equity

    @property
    def drift(self) -> Decimal | None:
        """Share of investable equity that is in the wrong security: half the sum of their drifts; ``None`` without
        targets.
        """
        return sum((abs(line.drift) for line in self.lines if line.symbol != CASH), ZERO) / 2 if self.lines else None

    @property
    def cash_line(self) -> WeightLine | None:
        """Cash beyond the reserve; ``None`` without a plan."""
        return self.lines[-1] if self.lines else None


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
    return portfolios(session, [account_id]).get(account_id)


def portfolios(session: Session, account_ids: Sequence[str]) -> dict[str, Portfolio]:
    """The newest snapshot of each account that has one."""
    account = each_account(account_ids)
    newest = (
        select(SnapshotRow)
        .where(SnapshotRow.account_id == account.c.id)
        .order_by(SnapshotRow.at.desc(), SnapshotRow.id.desc())
        .limit(1)
        .lateral()
    )
    made_in = (Attempt.event_id == newest.c.event_id) & (Attempt.number == newest.c.attempt)
    rows = session.execute(
        select(newest, Attempt.plan, Attempt.inputs["snapshot"]["previous_equity"].astext.label("previous_equity"))
        .select_from(account)
        .join(newest, true())
        .outerjoin(Attempt, made_in)
    )
    return {row.account_id: _portfolio(row) for row in rows}


def runs(session: Session, account_ids: Sequence[str]) -> dict[str, Runs]:
    """Last successful and next live rebalance of each account."""
    account = each_account(account_ids)
    last = (
        select(Event.account_id, Event.finished_at, Event.id)
        .where(
            Event.account_id == account.c.id,
            Event.command == Command.REBALANCE,
            Event.state == EventState.SUCCEEDED,
        )
        .order_by(Event.created_at.desc())
        .limit(1)
        .lateral()
    )
    ended = {row.account_id: row for row in session.execute(select(last).select_from(account).join(last, true()))}
    coming = session.execute(
        select(Event.account_id, Event.due_at, Event.id, Event.state)
        .where(Event.command == Command.REBALANCE, Event.state.in_(ACTIVE), Event.account_id.in_(account_ids))
        .order_by(Event.remove_requested.desc())
    )
    active = {row.account_id: row for row in coming}
    return {one: _runs(ended.get(one), active.get(one)) for one in account_ids}


def each_account(account_ids: Sequence[str]) -> Subquery:
    """One row per account, so that each takes its newest rows from the end of an index."""
    return select(func.unnest(cast(list(account_ids), ARRAY(Text))).label("id")).subquery()


def _portfolio(row: Any) -> Portfolio:
    weights = held_weights(row.plan, row.positions)
    holdings = tuple(_holding(position, weights[position["symbol"]]) for position in row.positions)
    base = BaseCurrency.read(row.base)
    lines = weigh(row.plan, row.positions, counted_cash(row.plan, row.cash, base))
    previous = None if row.previous_equity is None else Decimal(row.previous_equity)
    return Portfolio(
        account_id=row.account_id,
        at=row.at,
        event_id=row.event_id,
        net_liquidation=row.net_liquidation,
        cash=row.cash,
        holdings=holdings,
        lines=lines,
        previous_equity=previous,
        base=base,
    )


def _runs(last: Any, coming: Any) -> Runs:
    return Runs(
        last_rebalance_at=last.finished_at if last else None,
        last_event_id=last.id if last else None,
        next_due_at=coming.due_at if coming else None,
        next_event_id=coming.id if coming else None,
        next_state=EventState(coming.state) if coming else None,
    )


def _holding(position: dict[str, Any], weight: Decimal | None) -> Holding:
    price = position.get("price")
    quantity = Decimal(position["quantity"])
    return Holding(position["symbol"], quantity, None if price is None else Decimal(price), weight)
