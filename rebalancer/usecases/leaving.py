"""Leaving an account in order when an operator has ended the run: nothing keeps working, everything is on record."""

from __future__ import annotations

from rebalancer.errors import OutcomeUnknown
from rebalancer.usecases.desk import OrderDesk
from rebalancer.usecases.settling import account_for, unresolved


def leave_clean(desk: OrderDesk) -> None:
    """Look up what became of the orders whose outcome is not on record; cancel those that still work.

    Raises:
        OutcomeUnknown: an order is still open after all were verified gone.
    """
    if not desk.run.claim.command.touches_orders:
        return
    desk.run.release_unacknowledged(desk.policy.gateway)
    if not account_for(desk):
        return
    desk.run.require_lease()
    desk.broker.cancel_open_orders(desk.account_id, unresolved(desk))
    left = account_for(desk)
    if left:
        raise OutcomeUnknown(f"still open after everything was cancelled: {', '.join(left)}")
