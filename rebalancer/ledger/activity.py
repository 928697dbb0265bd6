"""How much and when an account has traded."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, or_, select

from rebalancer.ledger.events import Claim
from rebalancer.ledger.models import Attempt, FillRow, Order
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import Outcome
from rebalancer.ledger.trades import NEVER_SENT
from rebalancer.money import ZERO
from rebalancer.rules.limits import Traded


def traded_since(session: Session, account_id: str, since: datetime) -> Traded:
    """Orders sent and USD filled since then."""
    orders = session.scalar(
        select(func.count()).where(
            Order.account_id == account_id, Order.created_at >= since, Order.status != NEVER_SENT
        )
    )
    notional = session.scalar(
        select(func.sum(FillRow.quantity * FillRow.price)).where(FillRow.account_id == account_id, FillRow.at >= since)
    )
    return Traded(orders or 0, notional or ZERO)


def last_rebalance(session: Session, claim: Claim) -> datetime | None:
    """First order of the account's newest rebalance that traded, without what this event is still in the midst of: a
    run that is tried again must be allowed to finish what it began.
    """
    succeeded = (
        select(func.max(Attempt.number))
        .where(Attempt.event_id == claim.event_id, Attempt.outcome == Outcome.SUCCEEDED)
        .scalar_subquery()
    )
    earlier = or_(Order.event_id != claim.event_id, Order.attempt <= succeeded)
    newest = (
        select(Order.event_id, Order.attempt)
        .where(Order.account_id == claim.account_id, Order.status != NEVER_SENT, earlier)
        .order_by(Order.created_at.desc())
        .limit(1)
        .subquery()
    )
    return session.scalar(
        select(func.min(Order.created_at))
        .select_from(Order)
        .join(newest, (newest.c.event_id == Order.event_id) & (newest.c.attempt == Order.attempt))
    )


def ever_traded(session: Session, account_id: str) -> bool:
    """Whether any order of the account has reached the broker."""
    found = select(Order.order_ref).where(Order.account_id == account_id, Order.status != NEVER_SENT).limit(1)
    return session.scalar(found) is not None
