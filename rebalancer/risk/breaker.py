"""Whether a refusal says something of a strategy, and not of one account alone."""

from __future__ import annotations

from collections.abc import Collection

from rebalancer.domain.rule_names import Rule

COUNTED = frozenset(
    {
        Rule.ALLOCATIONS_BACKDATED,
        Rule.ALLOCATIONS_CHANGED,
        Rule.ALLOCATIONS_DUPLICATE,
        Rule.ALLOCATIONS_EMPTY,
        Rule.ALLOCATIONS_FUTURE,
        Rule.ALLOCATIONS_JUMPED,
        Rule.ALLOCATIONS_MALFORMED,
        Rule.ALLOCATIONS_OLD,
        Rule.ALLOCATIONS_RANGE,
        Rule.ALLOCATIONS_SHRUNK,
        Rule.ALLOCATIONS_SIGNATURE,
        Rule.ALLOCATIONS_SUM,
        Rule.MARKET_HOURS_UNKNOWN,
        Rule.QUOTES_DELAYED,
        Rule.QUOTES_FAR_FROM_CLOSE,
        Rule.QUOTES_STALE,
        Rule.SPLIT_SUSPECTED,
        Rule.SYMBOL_UNKNOWN,
    }
)
"""Of targets, quotes and contracts. What an account's own settings, cash or positions are the reason of is not here."""


def trips(rule: Rule, accounts: Collection[str], bound: int) -> bool:
    """Whether a strategy is held.

    Args:
        accounts: that the rule refuses now, for the same signal.
        bound: so many hold it; 0: none do.
    """
    return bound > 0 and rule in COUNTED and len(set(accounts)) >= bound
