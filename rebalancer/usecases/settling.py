"""A clean table before planning: no order of the account can fill any more, and all earlier ones are accounted for."""

from __future__ import annotations

import structlog

from rebalancer.errors import OutcomeUnknown
from rebalancer.orders import OpenOrder
from rebalancer.usecases.desk import Desk

log = structlog.get_logger()


def clear_table(desk: Desk) -> tuple[OpenOrder, ...]:
    """Cancel every open order of the account, then find what became of each order whose outcome is not on record.

    Returns:
        The cancelled orders, as they stood before.

    Raises:
        OutcomeUnknown: an order is still open, or appeared, after all were verified gone.
    """
    desk.run.checkpoint()
    cancelled = desk.broker.cancel_open_orders(desk.account.account_id)
    refs = desk.run.unsettled()
    if refs:
        _settle(desk, refs)
    return cancelled


def _settle(desk: Desk, refs: list[str]) -> None:
    traces = desk.broker.trace(desk.account.account_id, refs)
    desk.run.traced(refs, traces)
    for ref in refs:
        trace = traces.get(ref)
        log.warning("order_reconciled", order_ref=ref, status=None if trace is None else trace.status)
    still_open = [ref for ref, trace in traces.items() if trace.open]
    if still_open:
        raise OutcomeUnknown(f"still open after everything was cancelled: {', '.join(still_open)}")
