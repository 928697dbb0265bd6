"""Idle dollars that go back into the base currency: no money is made or lost, none goes back and forth."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

from hypothesis import assume, event, given
from hypothesis import strategies as st

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import EXACT, ZERO
from rebalancer.domain.portfolio import ProposedOrder, Side
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.units import Ratio, Usd
from rebalancer.planning.conversion_back import PART, back_limit, cost_back, idle_dollars, plan_back
from rebalancer.planning.parked_reserve import ParkedPlan
from rebalancer.planning.purchases import short_cover
from tests.property.effort import examples
from tests.property.test_conversion import Converting, converting

SLACK = Decimal("1e-9")


SPARE = st.sampled_from([Decimal(1_100), Decimal(5_000), Decimal(40_000)])
SHARES = st.sampled_from([Decimal("0.3"), Decimal("0.5"), Decimal("0.7"), Decimal(1)])


@st.composite
def idle(draw: st.DrawFn, *, fund: bool = False) -> Converting:
    """Biased towards dollars that targets leave, of sales or from the start."""
    case = draw(converting(fund=fund))
    world = case.world
    spare = draw(SPARE)
    snapshot = world.snapshot
    snapshot = replace(snapshot, cash=Usd(snapshot.cash + spare), net_liquidation=Usd(snapshot.net_liquidation + spare))
    share = draw(SHARES)
    weights = tuple(replace(one, weight=one.weight * share) for one in world.weights)
    reserve = min(world.rules.reserve_fraction, Decimal("0.1"))
    rules = replace(
        world.rules, kind=RebalanceMode.FULL, minimum_weight_sum=Decimal("0.05"), reserve_fraction=Ratio(reserve)
    )
    base = replace(case.exchange.base, cash=case.exchange.base.cash + case.exchange.kept)
    return replace(
        case,
        world=replace(world, snapshot=snapshot, weights=weights, rules=rules),
        exchange=replace(case.exchange, base=base),
    )


def planned(case: Converting, *, proceeds_pay: bool = True) -> tuple[ParkedPlan, ProposedOrder | None] | None:
    """As a run plans; nothing where it is refused, or converts for its buys."""
    made = case.planned()
    if made is None or made.conversion is not None:
        return None
    try:
        return plan_back(case.inputs, made.parked, case.exchange, dollars=case.dollars, proceeds_pay=proceeds_pay)
    except Refused as refusal:
        event(f"refused by {refusal.rule}")
        return None


def after(case: Converting, made: ParkedPlan, order: ProposedOrder, price: Decimal) -> Converting:
    """All orders filled, that of the currencies at this price."""
    world, base = case.world.after(made.plan.orders), case.exchange.base
    usd, foreign = case.exchange.pair.changes(order.side, Decimal(order.quantity), price)
    fee = order.fee * case.exchange.per_dollar
    snapshot = world.snapshot
    snapshot = replace(snapshot, cash=Usd(snapshot.cash + usd), net_liquidation=Usd(snapshot.net_liquidation + usd))
    base = replace(base, cash=base.cash + foreign - fee)
    return replace(case, world=replace(world, snapshot=snapshot), exchange=replace(case.exchange, base=base))


ANY = st.one_of(idle(), idle(fund=True))


@examples(200)
@given(ANY, st.booleans())
def test_never_more_than_idle_is_converted_back_whatever_the_limit_allows(case: Converting, proceeds_pay: bool) -> None:
    found = planned(case, proceeds_pay=proceeds_pay)
    assume(found is not None and found[1] is not None)
    assert found is not None
    made, order = found
    assert order is not None
    exchange, plan = case.exchange, made.plan
    with localcontext(EXACT):
        limit = back_limit(exchange)
        worst = exchange.pair.dollars(Decimal(order.quantity), limit)
        assert 0 < worst <= idle_dollars(plan, case.dollars) + SLACK
        assert limit >= exchange.quote.ask if order.side is Side.BUY else limit <= exchange.quote.bid, "it may fill"
        assert order.quantity % exchange.instrument.lot == 0
        left = after(case, made, order, limit)
        kept = max(plan.reserve, PART * plan.equity) + short_cover(plan.lines)
        assert left.dollars >= kept - SLACK, "reserve and more stay in dollars"
        assert left.exchange.base.cash > exchange.base.cash
    if not proceeds_pay:
        spent = sum((one.notional + one.fee for one in plan.buys), ZERO)
        assert worst <= case.dollars - spent - kept + SLACK, "what sales bring is not counted"


@examples(200)
@given(ANY)
def test_no_money_is_made_or_lost_over_both_currencies(case: Converting) -> None:
    found = planned(case)
    assume(found is not None and found[1] is not None)
    assert found is not None
    made, order = found
    assert order is not None
    with localcontext(EXACT):
        now = after(case, made, order, order.price)
        per_dollar = case.exchange.per_dollar
        before = case.dollars + case.exchange.base.cash / per_dollar
        later = now.dollars + now.exchange.base.cash / per_dollar
        traded = sum((one.notional * (1 if one.side is Side.SELL else -1) - one.fee for one in made.plan.orders), ZERO)
        assert abs(before + traded - cost_back(order, case.exchange) - later) < Decimal("0.01")


@examples(200)
@given(ANY)
def test_there_is_no_way_back_and_forth(case: Converting) -> None:
    """After its own fills a plan converts in neither direction, and trades nothing. What a reserve in a fund calls for
    then is a matter of the fund's (test_parked_reserve).
    """
    found = planned(case)
    assume(found is not None)
    assert found is not None
    made, order = found
    event("converts back" if order else "converts nothing")
    assume(order is not None)
    assert order is not None
    now = after(case, made, order, order.price)
    again = now.planned()
    if again is not None:
        assert case.fund or again.plan.orders == (), again.plan.orders
        assert again.conversion is None
        assert plan_back(now.inputs, again.parked, now.exchange, dollars=now.dollars, proceeds_pay=True)[1] is None


@examples(100)
@given(st.one_of(converting(needing=True), idle()))
def test_a_plan_that_converts_for_its_buys_leaves_nothing_idle(case: Converting) -> None:
    """Nothing is asked about the way back there; nothing would come of it."""
    made = case.planned()
    assume(made is not None and made.conversion is not None)
    assert made is not None
    assert made.conversion is not None
    dollars = Usd(case.dollars + case.exchange.dollars(made.conversion))
    lot = Decimal(case.exchange.instrument.lot) * case.exchange.quote.ask
    assert idle_dollars(made.plan, dollars) <= lot
