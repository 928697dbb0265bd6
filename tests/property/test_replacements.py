"""Replacing symbols neither creates weight nor debts."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Replacement, TargetWeight
from rebalancer.planning import replacements

SYMBOLS = st.sampled_from("ABCDEFGH")
WEIGHTS = st.lists(
    st.builds(TargetWeight, SYMBOLS, st.decimals(0, 1, places=6)), min_size=1, max_size=8, unique_by=lambda w: w.symbol
)
RULES = st.lists(
    st.builds(Replacement, SYMBOLS, SYMBOLS, st.decimals(0, 5, places=2)),
    max_size=5,
    unique_by=lambda rule: rule.source,
)


def total(weights: tuple[TargetWeight, ...] | list[TargetWeight]) -> Decimal:
    return sum((entry.weight for entry in weights), ZERO)


@given(WEIGHTS, RULES)
def test_weights_are_never_negative_and_never_sum_to_more_than_before(
    weights: list[TargetWeight], rules: list[Replacement]
) -> None:
    replaced = replacements.apply(weights, rules)
    assert all(entry.weight >= 0 for entry in replaced)
    assert total(replaced) <= total(weights)


@given(WEIGHTS, RULES)
def test_symbols_are_unique_and_no_source_is_left_unless_it_is_also_a_target(
    weights: list[TargetWeight], rules: list[Replacement]
) -> None:
    symbols = [entry.symbol for entry in replacements.apply(weights, rules)]
    assert len(symbols) == len(set(symbols))
    assert not ({rule.source for rule in rules} - {rule.target for rule in rules}) & set(symbols)


@given(WEIGHTS, RULES)
def test_scales_of_at_least_one_keep_the_total(weights: list[TargetWeight], rules: list[Replacement]) -> None:
    rules = [Replacement(rule.source, rule.target, 1 + rule.scale) for rule in rules]
    assert abs(total(replacements.apply(weights, rules)) - total(weights)) < Decimal("1e-11")


@given(WEIGHTS)
def test_without_rules_nothing_changes(weights: list[TargetWeight]) -> None:
    assert replacements.apply(weights, []) == tuple(weights)
