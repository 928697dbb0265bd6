"""Orders that the gateway took and said nothing of. Perhaps a window waits on its screen, and a click sends them.

An order of a worker that died before it could put the silence on record is one of them. They stay unsettled until they
are listed or refused after all, the gateway has restarted, which forgets them, or a person who has looked resumes the
account.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import bindparam, exists, func, or_, select

from rebalancer.domain.order_states import OrderStatus
from rebalancer.ledger.models import Attempt, GatewayRow, Order, OrderReport
from rebalancer.ledger.orders import PLANNED, REFUSED, RELEASED, UNACKNOWLEDGED, UNLISTED
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import Outcome

BY = "unacknowledged order"
"""Who halts an account with such an order."""


INTERRUPTED = "Interrupted"
"""Of a report: the connection ended before the gateway had said a word of the order, which may never have arrived."""


def interrupted(session: Session, order_refs: Collection[str], why: str) -> None:
    """The connection that orders were sent over has ended; those that nothing was heard of may never have arrived."""
    chosen = Order.order_ref.in_(list(order_refs)), Order.status == PLANNED
    for order in session.scalars(select(Order).where(*chosen)):
        report(session, order, why, status=INTERRUPTED)


def left_silent(session: Session, order_refs: Collection[str], listed_since: datetime) -> None:
    """Of orders that are in none of the broker's lists, which go back to ``listed_since``: those that a worker had
    written to a connection that held, and died. The gateway has read them, so it keeps them back.
    """
    broken = exists().where(OrderReport.order_ref == Order.order_ref, OrderReport.status == INTERRUPTED)
    chosen = (
        select(Order)
        .join(Attempt, (Attempt.event_id == Order.event_id) & (Attempt.number == Order.attempt))
        .where(
            Order.order_ref.in_(list(order_refs)),
            Order.status == PLANNED,
            Order.order_id.is_not(None),
            Order.created_at >= listed_since,
            Attempt.outcome == Outcome.LOST,
            ~broken,
        )
    )
    for order in session.scalars(chosen).all():
        order.status = UNACKNOWLEDGED
        report(session, order, "its worker died, and the gateway has said nothing of it", at=order.created_at)


_WAITING = (
    select(Order)
    .where(
        Order.account_id.in_(bindparam("accounts", expanding=True)),
        Order.final_at.is_(None),
        Order.status == UNACKNOWLEDGED,
    )
    .order_by(Order.created_at, Order.order_ref)
)


def waiting(session: Session, accounts: Collection[str]) -> Sequence[Order]:
    """Those of some accounts, oldest first."""
    return session.scalars(_WAITING, {"accounts": list(accounts)}).all()


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


def refused(session: Session, order_ref: str, code: int, text: str) -> None:
    """The broker has refused an order for good. One that waited for a click waits no more, and one that was seen in the
    lists just before, and then in none, was never carried out.
    """
    waited = exists().where(OrderReport.order_ref == Order.order_ref, OrderReport.status == UNACKNOWLEDGED)
    undecided = or_(Order.final_at.is_(None), Order.status == UNLISTED)
    chosen = select(Order).where(Order.order_ref == order_ref, waited, undecided, Order.filled == 0)
    for order in session.scalars(chosen.with_for_update()):
        order.status = REFUSED if order.final_at is None else OrderStatus.CANCELLED
        report(session, order, text, code=code)


def release(session: Session, orders: Sequence[Order], why: str) -> None:
    """They do not wait any more: what the broker's lists do not show was never carried out."""
    for order in orders:
        order.status = RELEASED
        report(session, order, why)


def report(
    session: Session,
    order: Order,
    text: str,
    *,
    status: str | None = None,
    at: datetime | None = None,
    code: int | None = None,
) -> None:
    """Put on record among the broker's reports what we concluded ourselves; by default of its status, now."""
    session.add(
        OrderReport(
            order_ref=order.order_ref,
            at=at or func.clock_timestamp(),
            status=status or order.status,
            filled=order.filled,
            remaining=order.quantity - order.filled,
            code=code,
            text=text,
            confirmed=False,
        )
    )
