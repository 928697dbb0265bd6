"""Targets of which some are held under other names for a while."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.portfolio import Replacement, TargetWeight
from rebalancer.domain.units import Ratio
from rebalancer.planning.substitutes import substituted

ONE, ZERO = Decimal(1), Decimal(0)
NAMES = ("AAA", "BBB", "CCC", "DDD")
PARTS = st.lists(st.integers(0, 1000), min_size=4, max_size=4)
HELD = st.lists(st.integers(0, 240), min_size=2, max_size=2)


def weights(parts: list[int]) -> list[TargetWeight]:
    return [TargetWeight(name, Ratio(Decimal(part) / 4000)) for name, part in zip(NAMES, parts, strict=True)]


@given(PARTS, HELD, st.sampled_from(["0.5", "1", "1.5"]))
def test_what_is_held_and_what_is_bought_are_the_target(parts: list[int], held: list[int], scale: str) -> None:
    """At scale 1 the source that is kept and its substitute are together what the source was to be, of all equity."""
    given_weights = weights(parts)
    rules = [Replacement("AAA", "XXX", Decimal(scale)), Replacement("BBB", "YYY", Decimal(scale))]
    kept = {
        one.symbol: min(one.weight, Ratio(Decimal(part) / 1000))  # what is held of more than that is no buy
        for one, part in zip(given_weights, held, strict=False)
    }
    found = {one.symbol: one.weight for one in substituted(given_weights, rules, kept)}
    assert not {"AAA", "BBB"} & found.keys()
    assert all(weight >= 0 for weight in found.values())
    assert sum(found.values(), ZERO) <= sum((one.weight for one in given_weights), ZERO)
    rest = ONE - sum(kept.values(), ZERO)
    if scale == "1":
        for source, target in (("AAA", "XXX"), ("BBB", "YYY")):
            wanted = next(one.weight for one in given_weights if one.symbol == source)
            together = kept[source] + found.get(target, ZERO) * rest
            assert abs(together - max(wanted, kept[source])) < Decimal("1e-9")
        assert all(found[one.symbol] == one.weight for one in given_weights if one.symbol in ("CCC", "DDD"))


@given(PARTS)
def test_without_rules_nothing_is_other(parts: list[int]) -> None:
    assert list(substituted(weights(parts), [], {})) == weights(parts)


def test_an_account_that_is_nothing_but_the_source_buys_nothing_else() -> None:
    rules = [Replacement("AAA", "XXX", ONE)]
    found = substituted([TargetWeight("AAA", Ratio(ONE))], rules, {"AAA": Ratio(ONE)})
    assert [(one.symbol, one.weight) for one in found] == [("XXX", 0)]
