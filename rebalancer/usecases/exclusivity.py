"""One installation trades an account: nobody else of our kind may be at it, now or today."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import structlog

from rebalancer.domain.errors import AccountInUse
from rebalancer.domain.orders import SentOrder
from rebalancer.domain.rule_names import Rule
from rebalancer.usecases.context import Blocked, NotNow, RunContext

log = structlog.get_logger()

AGAIN = timedelta(minutes=1)
"""After which a taken turn is asked for again."""


@contextmanager
def turn_to_trade(context: RunContext) -> Iterator[None]:
    """The turn to trade the account.

    Raises:
        NotNow: another client of the gateway has it.
    """
    with ExitStack() as held:
        try:
            held.enter_context(context.broker.turn(context.account.account_id))
        except AccountInUse as taken:
            log.error("turn_taken", because=str(taken))
            rule = Rule.OTHER_INSTALLATION
            raise NotNow(Blocked(rule, f"{rule}: {taken}", context.clock() + AGAIN)) from taken
        yield


def require_alone(context: RunContext) -> None:
    """Stop if the broker lists orders of our form that are not on record. Those that a restored ledger has lost go on
    record instead, before any rule is asked.

    Raises:
        NotNow: another installation has traded the account; it is halted, and people are told.
        GatewayUnavailable: the broker did not say; a run that does not know must not go on.
    """
    seen = context.broker.order_refs(context.account.account_id)
    found = context.run.strangers(seen)
    if found.others:
        log.error("other_installation_seen", order_refs=sorted(found.others))
        raise NotNow(context.run.hold_for_others(found.others))
    _recover(context, [ref for ref in found.lost if seen[ref] is not None])


def strangers(context: RunContext) -> tuple[str, ...]:
    """Order refs of other installations that the broker lists."""
    return tuple(sorted(context.run.strangers(context.broker.order_refs(context.account.account_id)).others))


def _recover(context: RunContext, lost: Collection[str]) -> None:
    if not lost:
        return
    traces = context.broker.trace(context.account.account_id, [SentOrder(ref) for ref in lost])
    context.run.recover(traces.values())
    for ref, trace in traces.items():
        log.warning("order_recovered", order_ref=ref, symbol=trace.fills[0].symbol if trace.fills else None)
