"""After a restore: the broker remembers orders that the ledger has lost."""

from __future__ import annotations

import structlog

from rebalancer.orders import SentOrder
from rebalancer.usecases.desk import Desk

log = structlog.get_logger()


def recover_lost_orders(desk: Desk) -> None:
    """Put today's orders of the account on record that were sent after the backup, before any rule is asked.

    Raises:
        GatewayUnavailable: the broker did not say; a run that does not know must not go on.
    """
    if not desk.facts.restored_lately():
        return
    account_id = desk.account.account_id
    lost = desk.facts.unknown(desk.broker.executed(account_id))
    if not lost:
        return
    traces = desk.broker.trace(account_id, [SentOrder(ref) for ref in lost])
    desk.facts.recover(traces.values())
    for ref, trace in traces.items():
        log.warning("order_recovered", order_ref=ref, symbol=trace.fills[0].symbol if trace.fills else None)
