"""Which quotes a run may size orders from."""

from __future__ import annotations

from collections.abc import Mapping

from rebalancer.domain.errors import Refused
from rebalancer.domain.portfolio import Quote
from rebalancer.risk.input_checks import check_quotes
from rebalancer.usecases.context import RunContext


def judge(context: RunContext, quotes: Mapping[str, Quote]) -> None:
    """Refuse quotes that orders must not be sized from; what is only shown may come from delayed ones. Those that were
    refused are asked for anew the next time.
    """
    guards = context.safeguards
    delayed = guards.allow_delayed or not context.run.claim.command.touches_orders
    try:
        check_quotes(quotes, context.clock(), guards.quotes_max_age, guards.max_from_close, allow_delayed=delayed)
    except Refused as refusal:
        context.broker.ask_anew(refusal.numbers)
        raise
