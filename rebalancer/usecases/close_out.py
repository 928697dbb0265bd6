"""Leaving an account in order when a run ends early: nothing keeps working, and everything is on record that can be."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from rebalancer.domain.errors import OutcomeUnknown, RebalancerError
from rebalancer.usecases.context import OrderContext
from rebalancer.usecases.reconciliation import account_for, lingering, unresolved

log = structlog.get_logger()


def close_out(context: OrderContext) -> None:
    """Look up what became of the orders whose outcome is not on record; cancel those that still work.

    Raises:
        OutcomeUnknown: an order is still open after all were verified gone.
    """
    if not context.run.claim.command.touches_orders:
        return
    context.run.release_unacknowledged(context.policy.gateway)
    if not account_for(context):
        return
    context.run.require_lease()
    context.broker.cancel_open_orders(context.account_id, unresolved(context), lingering(context))
    left = account_for(context)
    if left:
        raise OutcomeUnknown(f"still open after everything was cancelled: {', '.join(left)}")


def cancel_unwatched(context: OrderContext, order_refs: Collection[str]) -> None:
    """Cancel orders of this run that nobody watches from now on, since the ledger is away or the event is another's.
    Nothing of it goes on record; who has the event next finds out what became of them.
    """
    try:
        context.broker.cancel_open_orders(context.account_id, lambda order: order.order_ref in order_refs)
    except RebalancerError as failure:
        log.error("orders_left_to_the_next_run", because=str(failure))
