"""Halts that the program itself makes: for what the broker announces that costs money, and for orders of which it says
nothing. A person lifts them, as any other.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, exists, or_, select

from rebalancer.domain.claims import Claim
from rebalancer.domain.errors import LeaseLost
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import halts, installations, outbox
from rebalancer.ledger import unacknowledged_orders as ledger_unacknowledged_orders
from rebalancer.ledger.halts import EVERYTHING, Halt
from rebalancer.ledger.models import HaltRow, Order
from rebalancer.ledger.orders import UNACKNOWLEDGED
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.transitions import OWNED, named

BY = "warning of the broker"
"""Who halts an account that may lose by force."""
OTHER = "other installation"
"""Who halts an account that another installation trades."""
_LOOK = (
    "the gateway has said nothing of it, perhaps a window waits on its screen: look there, confirm or close every "
    "window (each order that you confirm is accounted for), then `rebalancer resume {account_id}`; it goes on by "
    "itself when the order is listed or the gateway has restarted"
)


def warned(session: Session, accounts: Collection[str], code: int, text: str) -> None:
    """A code that announces a loss: halt and tell, unless that very warning has halted the account already."""
    reason = f"code {code}: {' '.join(text.split())}"
    for scope in sorted(accounts) or [EVERYTHING]:  # heard before the gateway has named the login's accounts
        if halts.halt_too(session, scope, reason, BY):
            outbox.tell(session, NoticeKind.LOSS, None if scope == EVERYTHING else scope, reason=reason)


def liquidated(session: Session, account_id: str, execution_id: str, trade: str) -> None:
    """IBKR has sold by itself: halt and tell, once for each execution, even after the account was resumed."""
    reason = f"IBKR liquidated {trade}"
    if outbox.tell(session, NoticeKind.LOSS, account_id, key=f"liquidation:{execution_id}", reason=reason):
        halts.halt_too(session, account_id, reason, BY)


def unacknowledged_orders(session: Session, account_id: str, order_refs: Collection[str]) -> Halt:
    """Put on record that orders are unacknowledged, halt their account and tell people, once."""
    orders = session.scalars(select(Order).where(Order.order_ref.in_(order_refs), Order.final_at.is_(None))).all()
    for order in orders:
        if order.status != UNACKNOWLEDGED:
            order.status = UNACKNOWLEDGED
            ledger_unacknowledged_orders.report(session, order, "the gateway has said nothing of it")
    words = ", ".join(f"{order.side} {order.quantity} {order.symbol}" for order in orders)
    reason = f"{words}: {_LOOK.format(account_id=account_id)}"
    if halts.halt_too(session, account_id, reason, ledger_unacknowledged_orders.BY):
        outbox.tell(session, NoticeKind.UNACKNOWLEDGED, account_id, reason=reason)
    return next(one for one in halts.in_force(session, account_id) if one.scope == account_id)


def other_installation(session: Session, account_id: str, order_refs: Collection[str]) -> Halt:
    """Put on record that another installation trades the account, halt it and tell people, once for the same orders."""
    installations.seen(session, account_id, order_refs)
    what = others_at_work(account_id, order_refs)
    if halts.halt_too(session, account_id, f"{Rule.OTHER_INSTALLATION}: {what}", OTHER):
        outbox.tell(session, NoticeKind.OTHER_INSTALLATION, account_id, reason=what)
    return next(one for one in halts.in_force(session, account_id) if one.scope == account_id)


def others_at_work(account_id: str, order_refs: Collection[str]) -> str:
    """That another installation trades an account, and what to do, for a person."""
    first, *more = sorted(order_refs)
    which = f"{first} and {len(more)} more" if more else first
    return (
        f"another installation trades {account_id}: order {which} at the broker has the form of ours and is not on "
        f"record here; let one installation alone trade it, then `rebalancer resume {account_id}`"
    )


_ANYTHING_TO_RELEASE = Prepared(
    "anything_to_release",
    select(
        or_(
            exists().where(
                Order.account_id == bindparam("account_id"), Order.final_at.is_(None), Order.status == UNACKNOWLEDGED
            ),
            exists().where(
                HaltRow.scope == bindparam("account_id"),
                HaltRow.lifted_at.is_(None),
                HaltRow.by == ledger_unacknowledged_orders.BY,
            ),
        )
    ).where(exists().where(OWNED)),
)


def anything_to_release(session: Session, claim: Claim) -> bool:
    """Whether :func:`release_unacknowledged` may find something.

    Raises:
        LeaseLost: another attempt owns the event.
    """
    found = _ANYTHING_TO_RELEASE.scalar(session, named(claim))
    if found is None:
        raise LeaseLost(f"attempt {claim.attempt} of event {claim.event_id} no longer owns it")
    return bool(found)


def release_unacknowledged(session: Session, account_id: str, address: str) -> None:
    """Release what a restart of the gateway has wiped out; without anything left, the account's halt for it ends."""
    orders = ledger_unacknowledged_orders.waiting(session, [account_id])
    lost = ledger_unacknowledged_orders.gone(session, orders, address)
    ledger_unacknowledged_orders.release(session, lost, "the gateway has restarted since, and forgotten it")
    if len(lost) == len(orders) and halts.lift_own(session, account_id, ledger_unacknowledged_orders.BY):
        outbox.tell(session, NoticeKind.ACKNOWLEDGED, account_id)
