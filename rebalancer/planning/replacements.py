"""Hold other symbols than the strategy names, for example where an account may not trade them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal, localcontext

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import EXACT, ZERO
from rebalancer.domain.portfolio import Replacement, TargetWeight
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import Ratio

KEPT_OF_THE_OTHERS = Decimal("0.1")
"""What the other symbols keep of their weights when the replaced ones need more than all of it."""

QUANTUM = Decimal("1e-12")
"""Weights that had to be scaled are rounded down to it, so that their sum is exact and never too large."""


def apply(weights: Sequence[TargetWeight], rules: Sequence[Replacement]) -> tuple[TargetWeight, ...]:
    """Replace symbols by rule, once: the result of one rule is never replaced again by another.

    A scale above 1 asks for more weight than was given. The excess is taken pro rata from the symbols that are not a
    target of a replacement; if that is more than they have, they keep a tenth and everything is scaled down to the
    total given. A scale below 1 leaves cash: an allocation below 100 % is never inflated, since it may be meant.

    Args:
        weights: non-negative; symbols may repeat, the result adds them up.
        rules: each source at most once.

    Returns:
        One weight per symbol, none negative, in order of first appearance; their total never exceeds the total given.

    Raises:
        Refused: ``replacement_scale``, a scale is negative or not a number.
    """
    _check_scales(rules)
    with localcontext(EXACT):
        replaced, renamed = _rename(weights, {rule.source: rule for rule in rules})
        given = sum((entry.weight for entry in weights), ZERO)
        excess = sum((entry.weight for entry in renamed), ZERO) - given
        made_room = _make_room(renamed, replaced, excess) if excess > 0 else renamed
        return _limit_total(_add_up(made_room), given)


def _check_scales(rules: Sequence[Replacement]) -> None:
    for rule in rules:
        if not rule.scale.is_finite() or rule.scale < 0:
            numbers = {"source": rule.source, "target": rule.target, "scale": str(rule.scale)}
            raise Refused(Rule.REPLACEMENT_SCALE, f"{rule.source} is replaced with scale {rule.scale}", numbers)


def _rename(
    weights: Sequence[TargetWeight], rules: dict[str, Replacement]
) -> tuple[frozenset[str], tuple[TargetWeight, ...]]:
    """Targets that replaced something, and the weights under their new names."""
    used = [rules[entry.symbol] for entry in weights if entry.symbol in rules]
    renamed = tuple(
        TargetWeight(rules[entry.symbol].target, Ratio(entry.weight * rules[entry.symbol].scale))
        if entry.symbol in rules
        else entry
        for entry in weights
    )
    return frozenset(rule.target for rule in used), renamed


def _make_room(
    weights: tuple[TargetWeight, ...], replaced: frozenset[str], excess: Decimal
) -> tuple[TargetWeight, ...]:
    """Take ``excess`` from the symbols outside ``replaced``, pro rata."""
    others = sum((entry.weight for entry in weights if entry.symbol not in replaced), ZERO)
    if others <= 0:
        return weights
    left = others - excess if excess <= others else others * KEPT_OF_THE_OTHERS
    return tuple(
        entry if entry.symbol in replaced else TargetWeight(entry.symbol, _scaled(entry.weight, left, others))
        for entry in weights
    )


def _add_up(weights: tuple[TargetWeight, ...]) -> dict[str, Ratio]:
    totals: dict[str, Ratio] = {}
    for entry in weights:
        totals[entry.symbol] = Ratio(totals.get(entry.symbol, ZERO) + entry.weight)
    return totals


def _limit_total(weights: dict[str, Ratio], limit: Decimal) -> tuple[TargetWeight, ...]:
    """Scale down, never up."""
    total = sum(weights.values(), ZERO)
    if total <= limit:
        return tuple(TargetWeight(symbol, weight) for symbol, weight in weights.items())
    return tuple(TargetWeight(symbol, _scaled(weight, limit, total)) for symbol, weight in weights.items())


def _scaled(weight: Ratio, part: Decimal, whole: Decimal) -> Ratio:
    return Ratio((weight * part / whole).quantize(QUANTUM, ROUND_FLOOR))
