"""Cash in another currency that pays for buys: no money is made or lost, none is borrowed, and there is an end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, localcontext

from hypothesis import assume, event, given
from hypothesis import strategies as st

from rebalancer.domain.currencies import CurrencyPair, dollars
from rebalancer.domain.errors import Refused
from rebalancer.domain.money import EXACT, ONE, ZERO
from rebalancer.domain.orders import Fill, Instrument, PriceStep
from rebalancer.domain.portfolio import AccountSnapshot, BaseCurrency, Quote, Side
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.units import NO_USD, Usd
from rebalancer.planning import size_buys
from rebalancer.planning.conversion import (
    ConvertedPlan,
    Exchange,
    cash_for_buys,
    counting,
    dollars_kept,
    plan_converted,
)
from rebalancer.planning.expected_books import after_fills
from rebalancer.planning.inputs import PlanInputs
from rebalancer.planning.parked_reserve import with_fund
from rebalancer.planning.purchases import short_cover
from sandbox.gateway.exchange_accounts import AccountFill, AccountState
from tests.property.effort import examples
from tests.property.planning_worlds import NOW, World, worlds
from tests.property.test_parked_reserve import FUND, parked

DAY = date(2026, 11, 23)
PAIRS = {
    "EUR.USD": Decimal("1.16455"),
    "GBP.USD": Decimal("1.31"),
    "USD.CHF": Decimal("0.80515"),
    "USD.JPY": Decimal("156.2"),
}
AMOUNTS = st.one_of(st.just(ZERO), st.decimals("0.01", "200", places=2), st.decimals("200", "90000", places=2))


@dataclass(frozen=True, slots=True)
class Converting:
    """A world, what its base currency can be sold for, and the fund that keeps its reserve, if one does."""

    world: World
    exchange: Exchange
    fund: str | None = None

    @property
    def dollars(self) -> Usd:
        return self.world.snapshot.cash

    @property
    def inputs(self) -> PlanInputs:
        world = self.world
        counted = counting(world.snapshot, self.exchange)
        counted = replace(counted, net_liquidation=Usd(counted.net_liquidation + self.exchange.counted))
        raises = world.rules.kind is RebalanceMode.RAISE_CASH
        return PlanInputs(
            counted,
            world.weights,
            world.quotes,
            world.rules,
            world.lots,
            reserve_symbol=self.fund,
            raised=Usd(world.rules.reserve_amount) if raises and self.fund else NO_USD,
        )

    def planned(self) -> ConvertedPlan | None:
        """Nothing where it is refused."""
        try:
            return plan_converted(self.inputs, exchange=self.exchange, dollars=self.dollars)
        except Refused as refusal:
            event(f"refused by {refusal.rule}")
            return None

    def after(self, made: ConvertedPlan) -> Converting:
        """All orders filled at their prices and fees."""
        world, base = self.world.after(made.plan.orders), self.exchange.base
        if made.conversion is not None:
            cash = Usd(world.snapshot.cash + self.exchange.dollars(made.conversion))
            base = replace(base, cash=base.cash - self.exchange.taken(made.conversion))
            equity = Usd(world.snapshot.net_liquidation + self.exchange.dollars(made.conversion))
            world = replace(world, snapshot=replace(world.snapshot, cash=cash, net_liquidation=equity))
        return replace(self, world=world, exchange=replace(self.exchange, base=base))


@st.composite
def converting(draw: st.DrawFn, *, needing: bool = False, fund: bool = False) -> Converting:
    """``needing``: biased towards buys that lack dollars; ``fund``: one keeps the reserve."""
    world = draw(parked() if fund else worlds())
    if needing:
        modes = st.sampled_from([RebalanceMode.FULL, RebalanceMode.BUY_ONLY])
        rules = replace(
            world.rules,
            kind=draw(modes),
            reserve_fraction=draw(st.sampled_from([ZERO, Decimal("0.01"), Decimal("0.1")])),
            drift_band=ZERO,
            relative_band=ZERO,
        )
        worth = world.snapshot.net_liquidation - world.snapshot.cash
        cash = draw(st.sampled_from([ZERO, Decimal("-50"), Decimal("212.37")]))
        equity = max(worth + cash, ONE)
        snapshot = replace(world.snapshot, cash=Usd(cash), net_liquidation=Usd(equity))
        world = replace(world, rules=rules, snapshot=snapshot)
    symbol = draw(st.sampled_from(sorted(PAIRS)))
    bid = PAIRS[symbol]
    ask = bid + draw(st.sampled_from([ZERO, Decimal("0.00005"), Decimal("0.0005")]))
    tick = Decimal("0.00005")
    lot = draw(st.sampled_from([1, 1, 1, 5, 1000]))
    pair = Instrument(symbol, 1, "IDEALPRO", tick, "UTC", "", "", (PriceStep(ZERO, tick),), lot, "CASH")
    read = CurrencyPair.read(symbol)
    assert read is not None
    scale = bid if read.first == "USD" else ONE / bid
    amount = draw(st.integers(10_000, 90_000).map(Decimal) if needing else AMOUNTS) * scale
    kept = draw(st.sampled_from([ZERO, ZERO, Decimal(100), Decimal(5_000)]))
    base = BaseCurrency(read.foreign, scale, amount.quantize(Decimal("0.01")))
    collar = draw(st.sampled_from([ZERO, Decimal("0.0005"), Decimal("0.01")]))
    quote = Quote(symbol, bid, ask, NOW)
    return Converting(world, Exchange(base, pair, quote, kept, collar), FUND if fund else None)


ANY = st.one_of(converting(), converting(needing=True), converting(fund=True), converting(needing=True, fund=True))
NEEDING = st.one_of(converting(needing=True), converting(needing=True, fund=True))


@examples(120)
@given(NEEDING)
def test_never_more_is_sold_than_is_there_whatever_the_limit_allows(case: Converting) -> None:
    made = case.planned()
    assume(made is not None and made.conversion is not None)
    assert made is not None
    assert made.conversion is not None
    order, exchange = made.conversion, case.exchange
    assert order.quantity % exchange.instrument.lot == 0
    assert exchange.dollars(order) > 0
    with localcontext(EXACT):
        limit = exchange.limit(order)
        assert exchange.taken(replace(order, price=limit)) <= exchange.base.cash - exchange.kept + Decimal("1e-9")
    assert limit >= exchange.quote.ask if exchange.side is Side.BUY else limit <= exchange.quote.bid, "it may fill"


@examples(120)
@given(ANY)
def test_no_dollar_is_borrowed_and_no_more_is_converted_than_the_buys_need(case: Converting) -> None:
    made = case.planned()
    assume(made is not None)
    assert made is not None
    after = case.after(made).world.snapshot
    if made.plan.buys and case.dollars >= 0:
        assert after.cash >= short_cover(made.plan.lines) - Decimal("1e-9")
    if made.conversion is not None:
        lot = made.conversion.quantity and Decimal(case.exchange.instrument.lot) / case.exchange.per_dollar * (
            case.exchange.price if case.exchange.side is Side.BUY else ONE
        )
        spare = after.cash - short_cover(made.plan.lines) - dollars_kept(made.plan)
        assert spare <= lot + Decimal("1e-9"), "but for the rounding to a lot"
        assert made.plan.buys


@examples(120)
@given(ANY)
def test_no_money_is_made_or_lost_over_both_currencies(case: Converting) -> None:
    made = case.planned()
    assume(made is not None)
    assert made is not None
    with localcontext(EXACT):
        after = case.after(made)
        fee = made.conversion.fee if made.conversion else ZERO
        before = case.dollars + case.exchange.base.cash / case.exchange.per_dollar
        now = after.dollars + after.exchange.base.cash / case.exchange.per_dollar
        traded = sum((one.notional * (1 if one.side is Side.SELL else -1) - one.fee for one in made.plan.orders), ZERO)
        assert abs(before + traded - fee - now) < Decimal("0.01")


@examples(120)
@given(ANY)
def test_after_its_own_fills_a_plan_proposes_nothing(case: Converting) -> None:
    made = case.planned()
    assume(made is not None)
    assert made is not None
    again = case.after(made).planned()
    event("converts" if made.conversion else "converts nothing")
    if again is not None:
        assert again.conversion is None
        assert case.fund or again.plan.orders == (), again.plan.orders  # of the fund: test_parked_reserve


@examples(120)
@given(NEEDING, st.integers(0, 100))
def test_buys_after_a_conversion_stay_within_the_dollars(case: Converting, part: int) -> None:
    """Whether it filled or not; where it filled they cost at most the plan's and the lot that it is rounded up to."""
    made = case.planned()
    assume(made is not None and made.conversion is not None)
    assume(case.world.rules.kind is not RebalanceMode.RAISE_CASH)
    assert made is not None
    assert made.conversion is not None
    filled = replace(made.conversion, quantity=made.conversion.quantity * part // 100)
    fraction = Decimal(filled.quantity) / made.conversion.quantity
    filled = replace(filled, fee=Usd(filled.fee * fraction))
    sold = case.world.after(made.plan.sells).snapshot
    base = replace(case.exchange.base, cash=case.exchange.base.cash - case.exchange.taken(filled))
    there = Usd(sold.cash + case.exchange.dollars(filled))
    cash = cash_for_buys(made.plan, there, base, case.exchange)
    account = replace(sold, cash=cash, net_liquidation=made.plan.equity)
    buys = size_buys(made.plan, account, case.world.quotes, made.parked.rules)
    if parking := made.parked.parking:
        cash = cash_for_buys(made.plan, there, base, case.exchange, parking.cash_part)
        rest = Usd(cash - short_cover(made.plan.lines))
        buys = with_fund(buys, parking, rest, case.world.quotes, made.parked.rules)
    spent = sum((one.notional + one.fee for one in buys), ZERO)
    assert not buys or spent <= there - short_cover(made.plan.lines)
    if part == 100 and not case.fund:
        lot = case.exchange.lot / case.exchange.per_dollar
        assert spent <= sum((one.notional + one.fee for one in made.plan.buys), lot)


FILLS = st.tuples(st.sampled_from(sorted(PAIRS)), st.sampled_from(list(Side)), st.integers(1, 100_000))


@given(FILLS, st.decimals("0", "10", places=2))
def test_books_sandbox_and_pair_agree_on_what_a_fill_moves(fill: tuple[str, Side, int], commission: Decimal) -> None:
    symbol, side, count = fill
    pair, price, quantity = CurrencyPair.read(symbol), PAIRS[symbol], Decimal(count)
    assert pair is not None
    usd, foreign = pair.changes(side, quantity, price)
    at_price = foreign / price if pair.first == "USD" else foreign * price
    with localcontext(EXACT):
        assert abs(usd + at_price) < Decimal("1e-9"), "worth the same"
    assert abs(usd) == dollars(symbol, quantity, price)
    account = AccountState("DU1", "INDIVIDUAL", margin=True, settled=Decimal(1_000), base_currency=pair.foreign)
    booked = account.after_exchange(pair, AccountFill(symbol, side, quantity, price, commission, DAY))
    assert booked.cash - account.cash == usd
    assert booked.other_cash[pair.foreign] == foreign - commission
    base = BaseCurrency(pair.foreign, ONE)
    snapshot = AccountSnapshot("DU1", NOW, Usd(ONE), Usd(Decimal(1_000)), None, None, (), base=base)
    told = Fill("ref", "x.01", NOW, "DU1", symbol, side, quantity, price, quantity, 1)
    expected = after_fills(snapshot, [told], {}, Usd(ONE))
    assert expected.base is not None
    assert (expected.cash - 1_000, expected.base.cash, expected.positions) == (usd, foreign, ())
