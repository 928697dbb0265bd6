"""What holds of every plan, whatever the account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, localcontext

from hypothesis import assume, event, given
from hypothesis import strategies as st

from rebalancer.domain.errors import QuoteUnavailable, Refused
from rebalancer.domain.money import EXACT, HALF, ONE, ZERO
from rebalancer.domain.portfolio import AccountSnapshot, FeeSchedule, Plan, Position, Quote, Side, TargetWeight
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.planning import PlanningRules, plan, size_buys
from tests.property.effort import examples
from tests.property.planning_worlds import NOW, World, worlds


def planned(world: World) -> Plan:
    try:
        return world.plan()
    except Refused as refusal:
        event(refusal.rule)
        assume(refusal.rule not in ("costs_exceed_equity", "reserve_exceeds_equity"))
        raise


@given(worlds())
def test_buys_and_fees_never_exceed_spendable_cash(world: World) -> None:
    made = planned(world)
    with localcontext(EXACT):
        spent = sum((order.notional for order in made.buys), ZERO)
    assert spent <= made.spendable_cash
    assert made.spendable_cash >= 0


@given(worlds())
def test_buys_keep_the_reserve(world: World) -> None:
    with localcontext(EXACT):
        made = planned(world)
        after = world.after(made.orders).snapshot
        assert not made.buys or after.cash >= made.reserve
        assert made.reserve == world.rules.reserve(after.net_liquidation)


@given(worlds())
def test_never_sells_more_than_is_held_and_never_shorts(world: World) -> None:
    made = planned(world)
    for order in made.sells:
        assert order.side is Side.SELL
        assert 1 <= order.quantity <= world.held(order.symbol)
    for order in made.buys:
        assert order.side is Side.BUY
        assert order.quantity >= 1
        assert world.held(order.symbol) >= 0
    assert len({order.symbol for order in made.orders}) == len(made.orders)


@given(worlds())
def test_every_order_is_a_multiple_of_its_lot(world: World) -> None:
    made = planned(world)
    lines = {line.symbol: line for line in made.lines}
    for order in made.orders:
        assert order.quantity % world.lots.get(order.symbol, 1) == 0
        assert lines[order.symbol].lot == world.lots.get(order.symbol, 1)


@given(worlds())
def test_what_a_lot_leaves_is_less_than_a_lot_and_explained(world: World) -> None:
    made = planned(world)
    with localcontext(EXACT):
        for line in made.lines:
            if line.odd:
                event("odd")
                assert HALF < abs(line.planned_shares - line.target_shares) < line.lot
                assert line.note is not None
                assert f"multiples of {line.lot}" in line.note


@given(worlds())
def test_lots_of_one_share_change_nothing(world: World) -> None:
    singles = replace(world, lots=dict.fromkeys(world.quotes, 1))
    assert planned(singles) == planned(replace(world, lots={}))


@given(worlds())
def test_each_kind_has_its_side_only(world: World) -> None:
    made = planned(world)
    assert not (world.rules.kind is RebalanceMode.BUY_ONLY and made.sells)
    assert not (world.rules.kind is RebalanceMode.RAISE_CASH and made.buys)


@given(worlds())
def test_raising_cash_sells_no_share_too_many(world: World) -> None:
    """Without the last of the sells, cash would be short."""
    world = replace(world, rules=replace(world.rules, kind=RebalanceMode.RAISE_CASH))
    with localcontext(EXACT):
        made = planned(world)
        cover = sum((-line.held * line.price for line in made.lines if line.held < 0), ZERO)
        assume(made.sells)
        excess = {line.symbol: (line.held - line.target_shares) * line.price for line in made.lines}
        last = max(made.sells, key=lambda order: (-excess[order.symbol], order.symbol))
        without = world.after(order for order in made.sells if order is not last).snapshot
        assert without.cash - cover < world.rules.reserve(without.net_liquidation)


@given(worlds())
def test_no_name_moves_away_from_its_target(world: World) -> None:
    for line in planned(world).lines:
        assert abs(line.planned_shares - line.target_shares) <= abs(line.held - line.target_shares)


@given(worlds())
def test_no_order_is_larger_than_the_drift_justifies(world: World) -> None:
    made = planned(world)
    lines = {line.symbol: line for line in made.lines}
    for order in made.orders:
        line = lines[order.symbol]
        distance = abs(line.target_shares - line.held)
        assert order.quantity <= distance + HALF * line.lot
        assert distance > max(world.rules.share_threshold, HALF * line.lot)
        assert made.investable == 0 or abs(line.drift) > world.rules.band(line.target_weight)


@examples(250)
@given(worlds())
def test_planning_again_after_all_fills_proposes_nothing(world: World) -> None:
    with localcontext(EXACT):
        made = planned(world)
        after = world.after(made.orders)
        assume(after.snapshot.net_liquidation > 0)
        event("trades" if made.orders else "quiet")
        event("short of cash" if any("cash" in (line.note or "") for line in made.lines) else "enough cash")
        assert planned(after).orders == ()


@given(worlds(most_names=3, largest_holding=2000))
def test_planning_again_proposes_nothing_with_many_shares(world: World) -> None:
    with localcontext(EXACT):
        after = world.after(planned(world).orders)
        assume(after.snapshot.net_liquidation > 0)
        assert planned(after).orders == ()


@given(worlds(), st.randoms(use_true_random=False))
def test_order_of_inputs_does_not_matter(world: World, random: st.random.Random) -> None:
    weights, positions, symbols = list(world.weights), list(world.snapshot.positions), list(world.quotes)
    for each in (weights, positions, symbols):
        random.shuffle(each)
    shuffled = replace(
        world,
        weights=tuple(weights),
        snapshot=replace(world.snapshot, positions=tuple(positions)),
        quotes={symbol: world.quotes[symbol] for symbol in symbols},
    )
    assert planned(shuffled) == planned(world)


@given(worlds())
def test_no_affordable_share_that_reduces_deviation_is_left_out(world: World) -> None:
    with localcontext(EXACT):
        made = planned(world)
        assume(world.rules.kind is not RebalanceMode.RAISE_CASH)
        after = world.after(made.orders)
        bought = {order.symbol: order.quantity for order in made.buys}
        cover = sum((-line.held * line.price for line in made.lines if line.held < 0), ZERO)
        for line in made.lines:
            missing = line.target_shares - line.planned_shares
            distance = line.target_shares - line.held
            wanted = line.held >= 0 and distance > max(HALF * line.lot, world.rules.share_threshold)
            if not wanted or missing <= HALF * line.lot or -line.drift <= world.rules.band(line.target_weight):
                continue
            price = world.quotes[line.symbol].ask * (ONE + world.rules.price_margin)
            owned = bought.get(line.symbol, 0)
            fees = world.rules.fees
            fee = fees.estimate(owned + line.lot, price) - fees.estimate(owned, price)
            cash = after.snapshot.cash - line.lot * price - fee
            equity = after.snapshot.net_liquidation - line.lot * (price - line.price) - fee
            assert cash - cover < world.rules.reserve(equity)


@given(worlds())
def test_preview_and_live_agree_when_sells_fill_as_estimated(world: World) -> None:
    with localcontext(EXACT):
        made = planned(world)
        after = world.after(made.sells)
        assert size_buys(made, after.snapshot, world.quotes, world.rules) == made.buys


@given(worlds(), st.data())
def test_live_buys_stay_within_what_the_sells_brought(world: World, data: st.DataObject) -> None:
    """Sells fill in part, at other prices; quotes move."""
    with localcontext(EXACT):
        made = planned(world)
        filled = [
            replace(order, quantity=quantity, price=order.price * data.draw(st.sampled_from([ONE, Decimal("0.9")])))
            for order in made.sells
            if (quantity := data.draw(st.integers(0, order.quantity)))
        ]
        after = world.after(filled)
        assume(after.snapshot.net_liquidation > 0)  # else size_buys refuses, as above
        move = data.draw(st.sampled_from([ONE, Decimal("0.97"), Decimal("1.04")]))
        quotes = {
            symbol: replace(quote, bid=quote.bid * move, ask=quote.ask * move) for symbol, quote in world.quotes.items()
        }
        buys = size_buys(made, after.snapshot, quotes, world.rules)
        lines = {line.symbol: line for line in made.lines}
        spent = sum((order.notional + order.fee for order in buys), ZERO)
        left_alone = made.equity * world.rules.reserve_fraction * Decimal("0.5") + world.rules.reserve_amount
        assert not buys or spent <= after.snapshot.cash - left_alone
        for order in buys:
            line = lines[order.symbol]
            assert order.side is Side.BUY
            assert line.held + order.quantity <= line.target_shares + HALF * line.lot
            assert line.drift < 0
            assert order.quantity % line.lot == 0


NUMBERS = st.one_of(
    st.decimals(), st.sampled_from([ZERO, ONE, Decimal(50), Decimal("-0.1"), Decimal("1e-30"), Decimal("1e30")])
)


def usually(likely: st.SearchStrategy[Decimal]) -> st.SearchStrategy[Decimal]:
    return st.one_of(likely, likely, likely, NUMBERS)


@examples(200)
@given(st.data())
def test_malformed_input_is_refused_or_planned_safely(data: st.DataObject) -> None:
    draw: Callable[..., Decimal] = data.draw
    symbols = data.draw(st.lists(st.sampled_from("ABC"), max_size=4))
    weights = [
        TargetWeight(symbol, draw(usually(st.sampled_from([HALF, ONE, Decimal("0.3333")])))) for symbol in symbols
    ]
    quotes = {
        symbol: Quote(symbol, draw(usually(st.just(Decimal(10)))), draw(usually(st.just(Decimal("10.1")))), NOW)
        for symbol in data.draw(st.sets(st.sampled_from("ABC"), min_size=2))
    }
    positions = tuple(
        Position(symbol, draw(usually(st.just(Decimal("7.5")))), currency=data.draw(st.sampled_from(["USD", "CAD"])))
        for symbol in data.draw(st.lists(st.sampled_from("ABC"), max_size=3))
    )
    cash, equity = draw(usually(st.just(Decimal(100)))), draw(usually(st.just(Decimal(300))))
    snapshot = AccountSnapshot("DU1", NOW, equity, cash, None, None, positions)
    rules = PlanningRules(
        draw(usually(st.just(ZERO))),
        draw(usually(st.just(HALF))),
        draw(usually(st.just(ZERO))),
        FeeSchedule(minimum=draw(usually(st.just(ONE)))),
        draw(usually(st.just(ZERO))),
    )
    try:
        made = plan(snapshot, weights, quotes, rules)
    except (Refused, QuoteUnavailable) as refusal:
        event(type(refusal).__name__)
        return
    event("planned")
    held = {entry.symbol: entry.quantity for entry in positions if entry.currency == "USD" and entry.quantity}
    lines = {line.symbol: line for line in made.lines}
    for order in made.sells:
        assert order.quantity <= held[order.symbol]
        assert order.quantity <= held[order.symbol] - lines[order.symbol].target_shares + HALF
