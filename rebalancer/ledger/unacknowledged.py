"""Orders that the gateway took and said nothing of. Perhaps a window waits on its screen, and a click sends them.

They stay unsettled until they are listed after all, the gateway has restarted, which forgets them, or a person who has
looked resumes the account.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, select

from rebalancer.ledger.models import GatewayRow, Order, OrderReport
from rebalancer.ledger.session import Session
from rebalancer.ledger.trades import RELEASED, UNACKNOWLEDGED

BY = "unacknowledged order"
"""Who halts an account with such an order."""


def waiting(session: Session, accounts: Collection[str]) -> Sequence[Order]:
    """Those of some accounts, oldest first."""
    chosen = select(Order).where(
        Order.account_id.in_(accounts), Order.settled_at.is_(None), Order.status == UNACKNOWLEDGED
    )
    return session.scalars(chosen.order_by(Order.created_at, Order.order_ref)).all()


def gone(session: Session, orders: Sequence[Order], address: str) -> list[Order]:
    """Those after whose silence nobody listened at the gateway's address: its process has ended, and they with it."""
    away_at = session.scalar(select(GatewayRow.away_at).where(GatewayRow.address == address))
    if away_at is None or not orders:
        return []
    refs = [order.order_ref for order in orders]
    silent = (
        select(OrderReport.order_ref, func.max(OrderReport.at).label("at"))
        .where(OrderReport.order_ref.in_(refs), OrderReport.status == UNACKNOWLEDGED)
        .group_by(OrderReport.order_ref)
    )
    since = {row.order_ref: row.at for row in session.execute(silent)}
    return [order for order in orders if order.order_ref in since and since[order.order_ref] < away_at]


def release(session: Session, orders: Sequence[Order], why: str) -> None:
    """They do not wait any more: what the broker's lists do not show was never carried out."""
    for order in orders:
        order.status = RELEASED
        report(session, order, why)


def report(session: Session, order: Order, text: str) -> None:
    """Put on record among the broker's reports what we concluded ourselves."""
    session.add(
        OrderReport(
            order_ref=order.order_ref,
            at=func.clock_timestamp(),
            status=order.status,
            filled=order.filled,
            remaining=order.quantity - order.filled,
            text=text,
            confirmed=False,
        )
    )
