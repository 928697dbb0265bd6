"""Symbols that may not be bought for a while, and what is held in their place meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR

from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.portfolio import Replacement, TargetWeight
from rebalancer.domain.units import NO_RATIO, Ratio
from rebalancer.planning import replacements
from rebalancer.planning.checks import exact_arithmetic
from rebalancer.planning.replacements import QUANTUM


def substituted(
    weights: Sequence[TargetWeight], rules: Sequence[Replacement], kept: Mapping[str, Ratio]
) -> tuple[TargetWeight, ...]:
    """Targets in which what the account lacks of each source is another symbol. What it has of a source is neither
    counted nor traded any more, so that the weights are of the rest.

    Args:
        rules: each source at most once.
        kept: what is held of sources, as fractions of investable equity; no more than their weights.

    Returns:
        One weight per symbol; their total never exceeds the one given.

    Raises:
        Refused: as :func:`~rebalancer.planning.replacements.apply`.
    """
    sources = {rule.source for rule in rules}
    with exact_arithmetic():
        rest = ONE - sum(kept.values(), ZERO)
        lacking = [
            TargetWeight(one.symbol, _lacking(one.weight, kept.get(one.symbol, NO_RATIO), Ratio(rest)))
            if one.symbol in sources
            else one
            for one in weights
        ]
    return tuple(one for one in replacements.apply(lacking, rules) if one.weight or one.symbol not in sources)


def _lacking(weight: Ratio, held: Ratio, rest: Ratio) -> Ratio:
    """Of the rest, rounded down."""
    if weight <= held or rest <= 0:
        return Ratio(ZERO)
    return Ratio(((weight - held) / rest).quantize(QUANTUM, ROUND_FLOOR))
