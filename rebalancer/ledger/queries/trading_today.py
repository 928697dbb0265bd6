"""What the accounts have done since a moment, in sums: for whoever watches the figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, Float, func, or_, select

from rebalancer.domain.commands import Command
from rebalancer.domain.money import ZERO
from rebalancer.ledger.models import STOCK, Attempt, Event, FillRow, Order
from rebalancer.ledger.orders import NEVER_SENT
from rebalancer.ledger.queries.past_events import SLIPPAGE
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, WAITING, Outcome

QUANTILES = (0.5, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class Fills:
    """Of an account and a side.

    Attributes:
        traded: USD, and so are ``commission`` and ``slippage``: what the fills cost more (+) or less than planned.
    """

    account_id: str
    side: str
    fills: int
    traded: Decimal
    commission: Decimal
    slippage: Decimal


def orders(session: Session, since: datetime) -> list[tuple[str, str, str, int]]:
    """Account, side, status and number of the orders that were sent."""
    kind = (Order.account_id, Order.side, Order.status)
    sent = (Order.created_at >= since, Order.status != NEVER_SENT)
    rows = session.execute(select(*kind, func.count()).where(*sent).group_by(*kind))
    return [(account, side, status, number) for account, side, status, number in rows]


def fills(session: Session, since: datetime) -> list[Fills]:
    """Executions by account and side."""
    rows = session.execute(
        select(
            FillRow.account_id,
            FillRow.side,
            func.count(),
            func.sum(FillRow.quantity * FillRow.price),
            func.sum(func.coalesce(FillRow.commission, ZERO)),
            func.sum(SLIPPAGE),
        )
        .join(Order, Order.order_ref == FillRow.order_ref)
        .where(FillRow.at >= since, FillRow.security_type == STOCK)
        .group_by(FillRow.account_id, FillRow.side)
    )
    return [Fills(*row) for row in rows]


def attempts(session: Session, since: datetime) -> list[tuple[str, str, int]]:
    """Account, outcome and number of the attempts that have ended."""
    chosen = (
        select(Event.account_id, Attempt.outcome, func.count())
        .join(Event, Event.id == Attempt.event_id)
        .where(*_ended(since))
        .group_by(Event.account_id, Attempt.outcome)
    )
    return [(account, str(outcome), number) for account, outcome, number in session.execute(chosen)]


def rebalance_seconds(session: Session, since: datetime) -> dict[float, float]:
    """How long the rebalances that succeeded took, by quantile; empty if there was none."""
    took = func.extract("epoch", Attempt.finished_at - Attempt.started_at).cast(Float)
    quantiles = [func.percentile_cont(part).within_group(took) for part in QUANTILES]
    row = session.execute(
        select(*quantiles)
        .join(Event, Event.id == Attempt.event_id)
        .where(*_ended(since), Attempt.outcome == Outcome.SUCCEEDED, Event.command == Command.REBALANCE)
    ).one()
    return {part: seconds for part, seconds in zip(QUANTILES, row, strict=True) if seconds is not None}


def waiting(session: Session) -> list[tuple[str, str, int]]:
    """State, rule and number of the events that wait; the rule is empty where none made them wait."""
    rule = func.coalesce(Event.rule, "")
    chosen = select(Event.state, rule, func.count()).where(Event.state.in_(WAITING)).group_by(Event.state, rule)
    return [(state, by, number) for state, by, number in session.execute(chosen)]


def _ended(since: datetime) -> tuple[ColumnElement[bool], ...]:
    """Of attempts with their events; those of an event that ended earlier need not be looked at."""
    return or_(Event.state.in_(ACTIVE), Event.finished_at >= since), Attempt.finished_at >= since
