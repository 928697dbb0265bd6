"""Leaving an account in order when an operator has ended the run: nothing keeps working, everything is on record."""

from __future__ import annotations

from rebalancer.errors import OutcomeUnknown
from rebalancer.usecases.desk import Desk
from rebalancer.usecases.settling import account_for, lingering, unresolved


def leave_clean(desk: Desk) -> None:
    """Look up what became of the orders whose outcome is not on record; cancel those that still work.

    Raises:
        OutcomeUnknown: an order is still open after all were verified gone.
    """
    if not desk.run.claim.command.touches_orders or not account_for(desk):
        return
    desk.run.require_lease()
    desk.broker.cancel_open_orders(desk.account.account_id, unresolved(desk), lingering(desk))
    left = account_for(desk)
    if left:
        raise OutcomeUnknown(f"still open after everything was cancelled: {', '.join(left)}")
