"""A table that shrinks, empties or jumps: what a broken feed looks like, and what its owner has to look at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Targets
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.sources import ChangeLimits
from rebalancer.domain.units import Ratio, percent_text
from rebalancer.planning.checks import exact_arithmetic


def check_change(before: Mapping[str, Decimal], before_as_of: date | None, now: Targets, limits: ChangeLimits) -> None:
    """Refuse targets that are too different from those accepted last, or older.

    Args:
        before: weights by symbol, fractions; empty if none were ever accepted, which anything may follow.

    Raises:
        Refused: ``allocations_shrunk``, ``allocations_jumped``, ``allocations_backdated``.
    """
    if not before:
        return
    after = {entry.symbol: entry.weight for entry in now.weights if entry.weight}
    with exact_arithmetic():
        _check_number(len(before), len(after), limits.least_symbols)
        _check_turnover(before, after, limits.most_turnover)
    if before_as_of is not None and now.as_of is not None and now.as_of < before_as_of:
        reason = f"the table is of {now.as_of}, the one accepted last is of {before_as_of}"
        raise Refused(Rule.ALLOCATIONS_BACKDATED, reason, {"as_of": str(now.as_of), "before": str(before_as_of)})


def turnover(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> Ratio:
    """Sum of all weights' changes: sells and buys of whoever follows."""
    symbols = before.keys() | after.keys()
    return Ratio(sum((abs(after.get(symbol, ZERO) - before.get(symbol, ZERO)) for symbol in symbols), ZERO))


def _check_number(before: int, after: int, least: Ratio) -> None:
    if after >= least * before:
        return
    reason = f"{after} symbols are left of {before}; allowed are {percent_text(least, 0)} of them or more"
    raise Refused(Rule.ALLOCATIONS_SHRUNK, reason, {"symbols": str(after), "before": str(before)})


def _check_turnover(before: Mapping[str, Decimal], after: Mapping[str, Decimal], most: Ratio) -> None:
    moved = turnover(before, after)
    if moved <= most:
        return
    reason = f"{percent_text(moved)} of the weights would be sold and bought, allowed are {percent_text(most)}"
    raise Refused(Rule.ALLOCATIONS_JUMPED, reason, {"turnover": str(moved), "allowed": str(most)})
