"""A clean table before planning: no order of the account can fill any more, and all earlier ones are accounted for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from rebalancer.domain.errors import OutcomeUnknown, RebalancerError
from rebalancer.domain.orders import OpenOrder, OrderTrace
from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.usecases.context import OrderContext

log = structlog.get_logger()

_LATER = timedelta(days=1)
_LOOKS = 3
"""An order that reaches the broker late is open only after the first cancel."""


def _every(_order: OpenOrder) -> bool:
    return True


def cancel_and_reconcile(context: OrderContext, which: Callable[[OpenOrder], bool] = _every) -> tuple[OpenOrder, ...]:
    """Cancel open orders of the account, then find what became of each of ours whose outcome is not on record. Ours
    are always among the cancelled; those that were refused and stay listed as Inactive are in nobody's way.

    Args:
        which: of the others, those to cancel.

    Returns:
        The cancelled orders, as they stood before.

    Raises:
        OutcomeUnknown: an order is still open, or appeared, after all were verified gone.
    """
    context.run.checkpoint()
    cancelled: tuple[OpenOrder, ...] = ()
    for _ in range(_LOOKS):
        cancelled += context.broker.cancel_open_orders(context.account_id, _or_ours(context, which), lingering(context))
        still_open = account_for(context) or _ask_again(context)
        if not still_open:
            return cancelled
    raise OutcomeUnknown(f"still open after everything was cancelled: {', '.join(still_open)}")


def _or_ours(context: OrderContext, which: Callable[[OpenOrder], bool]) -> Callable[[OpenOrder], bool]:
    ours, refused = unresolved(context), context.run.refused()
    return lambda order: ours(order) or order.order_ref in refused or which(order)


def lingering(context: OrderContext) -> Callable[[OpenOrder], bool]:
    """Tells our orders that the broker has refused and lists as Inactive all the same."""
    refused = context.run.refused()
    return lambda order: order.lies_idle and order.order_ref in refused


def unresolved(context: OrderContext) -> Callable[[OpenOrder], bool]:
    """Tells our orders whose outcome is not on record from all others."""
    sent = context.run.unresolved()
    refs = frozenset(order.order_ref for order in sent)
    perm_ids = frozenset(order.perm_id for order in sent if order.perm_id)
    return lambda order: order.order_ref in refs or order.perm_id in perm_ids


def look_after_orders(context: OrderContext) -> None:
    """Cancel what crashed runs left working and account for it: before a run asks what its command is, whether its
    account is configured, enabled or halted, and whose turn it is. Cancelling is the safe direction.

    Raises:
        GatewayUnavailable: the broker did not say what became of them.
        OutcomeUnknown: an order is still open after all were verified gone.
    """
    if context.run.claim.command.touches_orders and context.run.unresolved():
        cancel_and_reconcile(context, _none)


def finish_earlier_orders(context: OrderContext) -> None:
    """The same once nobody else trades the account; and ask again for what the broker did not know before.

    Raises:
        GatewayUnavailable, OutcomeUnknown: see :func:`look_after_orders`.
    """
    if context.run.unresolved() or context.run.refused() or _ask_again(context):
        cancel_and_reconcile(context, _none)


def _none(_order: OpenOrder) -> bool:
    return False


def recover(context: OrderContext, interruption: RebalancerError) -> None:
    """Wait for the gateway, cancel what of ours still works, and find out what has become of it."""
    log.warning("round_interrupted", error=str(interruption))
    context.broker.wait_for_return(context.policy.reconnect_s)
    cancel_and_reconcile(context, _none)


def account_for(context: OrderContext) -> list[str]:
    """Record what became of the account's orders whose outcome is not on record; refs of those that may still fill.

    Lists that lack what the broker has filled today prove nothing of what else they lack.
    """
    orders = context.run.unresolved()
    if not orders:
        return []
    since, others = _listed_since(context), context.run.perm_ids()
    known = context.run.witnesses(since)
    found = context.broker.trace(context.account_id, [*orders, *known], context.policy.grace_s, others)
    refs = [order.order_ref for order in orders]
    traces = {ref: trace for ref, trace in found.items() if ref in refs}
    if not all(order.order_ref in found for order in known):
        log.warning("broker_lists_incomplete", missing=[one.order_ref for one in known if one.order_ref not in found])
        since = context.clock() + _LATER
    context.run.traced(refs, traces, since)
    for ref in refs:
        trace = traces.get(ref)
        log.warning("order_reconciled", order_ref=ref, status=None if trace is None else trace.status)
    return _undecided(context, traces)


def _undecided(context: OrderContext, traces: Mapping[str, OrderTrace]) -> list[str]:
    """Those that are open, and not because a refused order stays listed."""
    undecided = {order.order_ref for order in context.run.unresolved()}
    return [ref for ref, trace in traces.items() if trace.open and ref in undecided]


def _ask_again(context: OrderContext) -> list[str]:
    """The broker may know by now what it did not: an order that it had not seen, a commission; or list no more what it
    has refused. Refs of those that may still fill.
    """
    orders = context.run.unexplained()
    if not orders:
        return []
    traces = context.broker.trace(context.account_id, orders, others=context.run.perm_ids())
    context.run.traced(context.run.refused(), traces, _listed_since(context))
    for ref, trace in traces.items():
        log.warning("order_explained", order_ref=ref, status=trace.status, fills=len(trace.fills))
    return _undecided(context, traces)


def _listed_since(context: OrderContext) -> datetime:
    """The broker lists ended orders and executions of its own day, which is New York's or the gateway's."""
    return max(day_start(trading_day(context.clock())), context.broker.listed_since())
