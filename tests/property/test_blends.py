"""A blend is the weighted sum of its members, in whatever order they are written."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.portfolio import StrategyPart, TargetWeight
from rebalancer.domain.units import Ratio
from rebalancer.planning.blends import blend, moves
from tests.property.effort import examples

NEAR = Decimal("1e-9")
SYMBOLS = st.sampled_from(["SPY", "GLD", "TLT", "CASH"])
FRACTIONS = st.decimals(0, 1, places=12, allow_nan=False)


@st.composite
def parts(draw: st.DrawFn, strategy: str) -> StrategyPart:
    weights = draw(st.dictionaries(SYMBOLS, FRACTIONS, max_size=4))
    entries = tuple(TargetWeight(symbol, Ratio(weight)) for symbol, weight in weights.items())
    return StrategyPart(strategy, Ratio(draw(FRACTIONS)), entries)


@st.composite
def blends(draw: st.DrawFn) -> list[StrategyPart]:
    return [draw(parts(name)) for name in draw(st.lists(st.sampled_from("abcde"), unique=True, max_size=4))]


def by_hand(members: list[StrategyPart]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for member in members:
        for entry in member.weights:
            total[entry.symbol] = total.get(entry.symbol, ZERO) + member.share * entry.weight
    return total


def summed(members: list[StrategyPart]) -> dict[str, Decimal]:
    return {entry.symbol: entry.weight for entry in blend(members)}


@examples(300)
@given(blends())
def test_a_blend_is_the_weighted_sum_of_its_members(members: list[StrategyPart]) -> None:
    expected, found = by_hand(members), summed(members)
    assert found.keys() == expected.keys()
    assert all(abs(found[symbol] - expected[symbol]) <= NEAR for symbol in expected)


@examples(300)
@given(blends(), st.randoms())
def test_the_order_of_members_and_of_their_symbols_does_not_matter(members: list[StrategyPart], chance: object) -> None:
    shuffled = [
        StrategyPart(one.strategy, one.share, tuple(chance.sample(one.weights, len(one.weights))))  # type: ignore[attr-defined]
        for one in members
    ]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert blend(shuffled) == blend(members)


@examples(100)
@given(parts("a"))
def test_one_strategy_for_all_of_the_account_is_that_strategy(part: StrategyPart) -> None:
    whole = StrategyPart("a", Ratio(ONE), part.weights)
    assert summed([whole]) == {entry.symbol: entry.weight for entry in part.weights}


@examples(300)
@given(blends(), blends())
def test_what_the_members_moved_adds_up_to_what_the_targets_moved(
    now: list[StrategyPart], before: list[StrategyPart]
) -> None:
    was, are = summed(before), summed(now)
    total: dict[str, Decimal] = {}
    for changes in moves(now, before).values():
        for symbol, change in changes.items():
            total[symbol] = total.get(symbol, ZERO) + change
    for symbol in {*was, *are, *total}:
        assert abs(are.get(symbol, ZERO) - was.get(symbol, ZERO) - total.get(symbol, ZERO)) <= NEAR


@examples(100)
@given(blends())
def test_what_has_not_changed_moved_nothing(members: list[StrategyPart]) -> None:
    assert not any(moves(members, members).values())
