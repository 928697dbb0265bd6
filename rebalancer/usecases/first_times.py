"""What an account is about to do for the first time."""

from __future__ import annotations

from rebalancer.risk import first_times as rule
from rebalancer.usecases.context import RunContext
from rebalancer.usecases.decision import Decision


def first_times(context: RunContext, decision: Decision) -> tuple[str, ...]:
    """Why a person has to look at this plan, in words; nothing where nothing is asked."""
    if not context.safeguards.first_times:
        return ()
    targets, seen = decision.view.targets, decision.view.gateway
    weights = {entry.symbol: entry.weight for entry in targets.weights}
    now = rule.Now(targets.strategy, seen.address, seen.login, weights)
    return rule.first_times(context.run.last_trade(), now, context.safeguards.first_times)
