"""Leaving an account in order when an operator has ended the run: nothing keeps working, everything is on record."""

from __future__ import annotations

from rebalancer.errors import OutcomeUnknown
from rebalancer.usecases.desk import Desk


def leave_clean(desk: Desk) -> None:
    """Look up what became of the orders whose outcome is not on record; cancel those that still work.

    Raises:
        OutcomeUnknown: an order is still open after all were verified gone.
    """
    if not desk.run.claim.command.touches_orders or not _still_open(desk):
        return
    desk.run.require_lease()
    desk.broker.cancel_open_orders(desk.account.account_id)
    left = _still_open(desk)
    if left:
        raise OutcomeUnknown(f"still open after everything was cancelled: {', '.join(left)}")


def _still_open(desk: Desk) -> list[str]:
    """Record what the broker knows of the account's unsettled orders; those that may still fill."""
    refs = desk.run.unsettled()
    if not refs:
        return []
    traces = desk.broker.trace(desk.account.account_id, refs, desk.policy.grace_s)
    desk.run.traced(refs, traces)
    return [ref for ref, trace in traces.items() if trace.open]
