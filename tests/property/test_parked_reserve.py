"""A reserve in a fund: the targets are traded as if it were cash, and no money is made or lost by keeping it there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from hypothesis import assume, event, given
from hypothesis import strategies as st

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.portfolio import Position, ProposedOrder, Quote, Side
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.units import Usd
from rebalancer.planning import size_buys
from rebalancer.planning.parked_reserve import SLACK, ParkedPlan, plan_parked, with_fund
from rebalancer.planning.purchases import short_cover
from tests.property.effort import examples
from tests.property.planning_worlds import NOW, World, worlds

FUND = "SGOV"
PRICES = st.sampled_from([Decimal(50), Decimal("100.02"), Decimal("100.61")])
SPREADS = st.sampled_from([ZERO, Decimal("0.01"), Decimal("0.05")])
HELD = st.one_of(st.just(ZERO), st.integers(1, 60).map(Decimal), st.decimals("0.1", "9", places=2))


@st.composite
def parked(draw: st.DrawFn) -> World:
    """A world with a fund beside, as an account that has no fund sees it: its value is cash there."""
    world = draw(worlds())
    bid = draw(PRICES)
    quote = Quote(FUND, bid, bid + draw(SPREADS), NOW)
    held = draw(HELD)
    snapshot = world.snapshot
    equity = snapshot.net_liquidation + held * quote.mid
    fund = Position(FUND, held)
    snapshot = replace(snapshot, positions=(*snapshot.positions, fund), net_liquidation=equity)
    return replace(world, snapshot=snapshot, quotes={**world.quotes, FUND: quote})


def raised(world: World) -> Usd:
    return Usd(world.rules.reserve_amount if world.rules.kind is RebalanceMode.RAISE_CASH else ZERO)


def planned(world: World) -> ParkedPlan | None:
    """Nothing where it is refused."""
    try:
        return plan_parked(
            world.snapshot,
            world.weights,
            world.quotes,
            world.rules,
            world.lots,
            symbol=FUND,
            raised=raised(world),
        )
    except Refused as refusal:
        event(f"refused by {refusal.rule}")
        return None


def of_fund(orders: Iterable[ProposedOrder], side: Side) -> int:
    return sum(order.quantity for order in orders if (order.symbol, order.side) == (FUND, side))


def in_cash(world: World) -> World:
    """The same account with the fund's value as cash."""
    value = world.held(FUND) * world.quotes[FUND].mid
    positions = tuple(one for one in world.snapshot.positions if one.symbol != FUND)
    cash = Usd(world.snapshot.cash + value)
    return replace(world, snapshot=replace(world.snapshot, positions=positions, cash=cash))


@examples(300)
@given(parked())
def test_targets_are_traded_as_if_the_reserve_were_cash(world: World) -> None:
    made = planned(world)
    assume(made is not None)
    assert made is not None
    assume(world.rules.kind is not RebalanceMode.RAISE_CASH)
    assume(not of_fund(made.plan.orders, Side.SELL))
    assume(not of_fund(made.plan.orders, Side.BUY))  # which costs a little of the equity
    parking = made.parking
    assert parking is not None
    assume(made.rules == replace(world.rules, parked=parking.value(parking.held)))
    plain = in_cash(world).plan()
    assert [order for order in made.plan.orders if order.symbol != FUND] == list(plain.orders)
    assert (made.plan.investable, made.plan.lines) == (plain.investable, plain.lines)


@examples(300)
@given(parked())
def test_no_money_is_made_or_lost_and_the_cash_part_stays(world: World) -> None:
    made = planned(world)
    assume(made is not None)
    assert made is not None
    parking = made.parking
    assert parking is not None
    before, after = world.snapshot, world.after(made.plan.orders).snapshot
    spread = sum(
        (one.quantity * abs(one.price - world.quotes[one.symbol].mid) + one.fee for one in made.plan.orders), ZERO
    )
    assert before.net_liquidation - after.net_liquidation == spread
    held = world.after(made.plan.orders).held(FUND)
    assert held >= 0
    kept = parking.reserve - parking.cash_part
    if of_fund(made.plan.buys, Side.BUY):
        assert after.cash >= parking.cash_part + short_cover(made.plan.lines), "bought from what is above it"
        assert parking.value(held) <= kept
        assert world.rules.kind is not RebalanceMode.RAISE_CASH
    if of_fund(made.plan.sells, Side.SELL):
        assert made.plan.sells[0].symbol == FUND, "before everything else"
        assert world.rules.kind is not RebalanceMode.BUY_ONLY
        assert not of_fund(made.plan.buys, Side.BUY)
    if world.rules.kind is RebalanceMode.RAISE_CASH and any(one.symbol != FUND for one in made.plan.sells):
        assert held < 1, "targets are sold only when the fund is used up"
    lowest = SLACK * parking.cash_part
    if world.rules.kind is RebalanceMode.FULL and held >= 1 and not short_cover(made.plan.lines):
        assert after.cash >= lowest - ONE, "sold where the cash part is missing"


@examples(300)
@given(parked())
def test_after_its_own_fills_a_plan_proposes_nothing(world: World) -> None:
    made = planned(world)
    assume(made is not None)
    assert made is not None
    again = planned(world.after(made.plan.orders))
    assert again is None or again.plan.orders == (), again.plan.orders


@examples(200)
@given(parked())
def test_buys_that_are_sized_again_are_those_of_the_plan(world: World) -> None:
    made = planned(world)
    assume(made is not None)
    assert made is not None
    sold = world.after(made.plan.sells).snapshot
    rest = replace(sold, positions=tuple(one for one in sold.positions if one.symbol != FUND))
    buys = size_buys(made.plan, rest, world.quotes, made.rules)
    cash = Usd(sold.cash - short_cover(made.plan.lines))
    assert with_fund(buys, made.parking, cash, world.quotes, made.rules) == made.plan.buys
