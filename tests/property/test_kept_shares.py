"""An account with shares that are kept apart trades exactly as one that holds only the rest."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Plan, Position, Side
from rebalancer.planning import off_plan, plan, size_buys
from rebalancer.risk.exclusions import Remainder, check_agreement, set_apart
from rebalancer.risk.kept_shares import without_kept
from tests.property.effort import examples
from tests.property.planning_worlds import World, worlds
from tests.unit.test_planning import account

SHARES = st.one_of(st.integers(1, 500).map(Decimal), st.decimals("0.01", "40", places=2))


@st.composite
def kept_in(draw: st.DrawFn, world: World) -> dict[str, Decimal]:
    symbols = [one.symbol for one in world.snapshot.positions if one.quantity >= 0]
    return {symbol: draw(SHARES) for symbol in draw(st.sets(st.sampled_from(symbols)))} if symbols else {}


def whole(world: World, kept: dict[str, Decimal]) -> World:
    """The same account with the kept shares on top."""
    value = sum((count * world.quotes[symbol].mid for symbol, count in kept.items()), ZERO)
    positions = tuple(
        replace(one, quantity=one.quantity + kept.get(one.symbol, ZERO)) for one in world.snapshot.positions
    )
    equity = world.snapshot.net_liquidation + value
    return replace(world, snapshot=replace(world.snapshot, positions=positions, net_liquidation=equity))


def planned(world: World, left: Remainder) -> Plan | str:
    try:
        return plan(left.snapshot, left.weights, world.quotes, world.rules, world.lots)
    except Refused as refusal:
        return refusal.rule


@examples(200)
@given(st.data(), worlds())
def test_the_rest_behaves_as_an_account_that_holds_only_the_rest(data: st.DataObject, rest: World) -> None:
    kept = data.draw(kept_in(rest))
    full = whole(rest, kept)
    alone = set_apart(rest.snapshot, rest.weights, rest.quotes, ())
    assume(alone.snapshot.net_liquidation > 0)
    left = set_apart(full.snapshot, full.weights, full.quotes, (), kept=kept)
    assert left.snapshot == alone.snapshot
    assert (left.weights, left.cover, left.gaps) == (alone.weights, alone.cover, alone.gaps)
    check_agreement(replace(left, gaps=()), full.snapshot.net_liquidation, Decimal(0))
    made = planned(full, left)
    assert made == planned(rest, alone)
    if isinstance(made, str):
        return
    after = full.after(made.orders)
    for symbol, count in kept.items():
        assert after.held(symbol) >= count, "never sold below the kept shares"
    assert after.snapshot.cash == rest.after(made.orders).snapshot.cash


@examples(200)
@given(st.data(), worlds())
def test_the_buys_after_the_sells_and_what_is_missing_at_last_are_those_of_the_rest(
    data: st.DataObject, rest: World
) -> None:
    kept = data.draw(kept_in(rest))
    alone = set_apart(rest.snapshot, rest.weights, rest.quotes, ())
    assume(alone.snapshot.net_liquidation > 0)
    made = planned(rest, alone)
    if isinstance(made, str):
        return
    sold = rest.after(order for order in made.orders if order.side is Side.SELL)
    sold_full = whole(sold, kept)
    reduced = without_kept(sold_full.snapshot, kept)
    assert reduced.positions == sold.snapshot.positions
    assert size_buys(made, reduced, rest.quotes, rest.rules) == size_buys(made, sold.snapshot, rest.quotes, rest.rules)
    done = without_kept(whole(rest.after(made.orders), kept).snapshot, kept)
    assert off_plan(made, done, rest.quotes, rest.rules) == off_plan(
        made, rest.after(made.orders).snapshot, rest.quotes, rest.rules
    )


def test_other_instruments_under_the_symbol_are_none_of_these_shares() -> None:
    option = Position("A", Decimal(3), security_type="OPT")
    snapshot = replace(account({"A": "150"}, "0", "100"), positions=(option, Position("A", Decimal(150))))
    assert without_kept(snapshot, {"A": Decimal(100)}).positions == (option, Position("A", Decimal(50)))
