"""What always holds of order styles: they change how an order is sent, never what the account may spend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.order_styles import OrderStyle, StyleRules, StyleTerms
from rebalancer.domain.orders import Instrument
from rebalancer.domain.portfolio import FeeSchedule, OrderType, ProposedOrder, Quote, Side
from rebalancer.planning.buying_power import PricedOrder, Terms, next_wave, ticket
from rebalancer.planning.style_choice import Situation, StyleChooser, Tried

NOW = datetime(2026, 11, 18, 19, 0, tzinfo=UTC)
HOURS = "20261118:0930-20261118:1600"
FEES = FeeSchedule()
CUSHION = Decimal("0.05")
STYLES = StyleTerms(120, timedelta(minutes=15), 5, 15, timedelta(minutes=5), timedelta(minutes=18))
SYMBOLS = ("A", "B", "C")
INSTRUMENTS = {
    symbol: Instrument(symbol, number, "ARCA", Decimal("0.01"), "US/Eastern", HOURS, "")
    for number, symbol in enumerate(SYMBOLS, 1)
}

mids = st.decimals("1", "900", places=2)
styles = st.sampled_from([None, *OrderStyle])
tried = st.sampled_from([None, *(Tried(OrderStyle.WALK, walked) for walked in range(7))])


@st.composite
def quotes(draw: st.DrawFn) -> dict[str, Quote]:
    found = {}
    for symbol in SYMBOLS:
        mid = draw(mids)
        half = max(Decimal("0.01"), (mid * draw(st.integers(0, 20)) / 10_000).quantize(Decimal("0.01")))
        bid = max(Decimal("0.01"), mid - half)
        found[symbol] = Quote(symbol, bid, bid + 2 * half, NOW)
    return found


@dataclass(frozen=True)
class Wanted:
    """Orders of one side, and how a run would send them."""

    orders: list[ProposedOrder]
    terms: Terms


@st.composite
def wanted(draw: st.DrawFn, side: Side, chosen: st.SearchStrategy[OrderStyle | None] = styles) -> Wanted:
    seen, order_type = draw(quotes()), draw(st.sampled_from([OrderType.MARKET, OrderType.LIMIT]))
    found = []
    for symbol in SYMBOLS:
        price, quantity = seen[symbol].ask if side is Side.BUY else seen[symbol].bid, draw(st.integers(1, 500))
        found.append(ProposedOrder(symbol, side, quantity, price, FEES.estimate(quantity, price), ""))
    rules = StyleRules(symbols={symbol: style for symbol in SYMBOLS if (style := draw(chosen))})
    known = {symbol: one for symbol in SYMBOLS if (one := draw(tried))} if rules.any else {}
    situation = Situation(now=NOW, closing=timedelta(minutes=5), tried=known)
    chooser = StyleChooser(rules, STYLES, order_type, INSTRUMENTS, situation)
    styled = {one.symbol: chooser.styling(one, seen[one.symbol], NOW) for one in found}
    terms = Terms(order_type, Decimal("0.005"), CUSHION, {symbol: one for symbol, one in styled.items() if one})
    return Wanted(found, terms)


def binds(sent: PricedOrder) -> Decimal:
    """USD that the broker sets aside: the limit, or the price with its cushion, and the fee."""
    price = sent.order.price * (1 + CUSHION) if sent.limit_price is None else sent.limit_price
    return sent.order.quantity * price + FEES.estimate(sent.order.quantity, price)


funds_of_a_day = st.decimals("1", "600000", places=2)
either_side = st.sampled_from([wanted(Side.BUY), wanted(Side.SELL)]).flatmap(lambda one: one)


@given(wanted(Side.BUY), funds_of_a_day)
def test_no_style_binds_more_than_the_funds_or_asks_for_more_shares(made: Wanted, funds: Decimal) -> None:
    wave, left = next_wave(made.orders, funds, made.terms, INSTRUMENTS, FEES)
    assert sum((binds(one) for one in wave), Decimal(0)) <= funds
    asked = {one.symbol: one.quantity for one in made.orders}
    assert all(one.order.quantity <= asked[one.order.symbol] for one in wave)
    assert not {one.order.symbol for one in wave} & {one.symbol for one in left}


@given(either_side)
def test_a_style_changes_neither_shares_nor_side_and_no_limit_goes_beyond_the_collar(made: Wanted) -> None:
    plain = replace(made.terms, styles={}, order_type=OrderType.LIMIT)
    for one in made.orders:
        sent, worst = ticket(one, made.terms, INSTRUMENTS[one.symbol]), ticket(one, plain, INSTRUMENTS[one.symbol])
        assert sent.order == one
        assert worst.limit_price is not None
        if sent.limit_price is not None:
            beyond = sent.limit_price - worst.limit_price
            assert beyond <= 0 if one.side is Side.BUY else beyond >= 0
            assert sent.limit_price % Decimal("0.01") == 0


@given(wanted(Side.BUY, st.none()), funds_of_a_day)
def test_without_a_style_nothing_is_different(made: Wanted, funds: Decimal) -> None:
    assert made.terms.styles == {}
    wave, _ = next_wave(made.orders, funds, made.terms, INSTRUMENTS, FEES)
    assert all(one.styling is None and one.algorithm is None for one in wave)
    assert {one.order_type for one in wave} <= {OrderType.MARKET, OrderType.LIMIT}
