"""Prices of orders: on the market rule's steps, on the side that was asked for, and the nearest such price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from rebalancer.domain.orders import Instrument, PriceStep

STEPS = st.sampled_from([Decimal(text) for text in ("0.0001", "0.001", "0.005", "0.01", "0.05", "0.03", "1")])
PRICES = st.decimals("0.0001", "2000", places=6)


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    """Rules of one to four steps with edges anywhere, and contracts without a rule."""
    edges = draw(st.lists(st.decimals("0.01", "500", places=2), unique=True, max_size=3))
    rule = tuple(PriceStep(edge, draw(STEPS)) for edge in sorted([Decimal(0), *edges]))
    tick = draw(st.sampled_from([Decimal("0.0001"), Decimal("0.01")]))
    return Instrument("A", 1, "ARCA", tick, "US/Eastern", "", "", draw(st.sampled_from([rule, ()])))


def possible(one: Instrument, price: Decimal) -> bool:
    return price % one.step_at(price) == 0


ODD = Instrument(
    "A",
    1,
    "ARCA",
    Decimal("0.01"),
    "US/Eastern",
    "",
    "",
    (PriceStep(Decimal(0), Decimal("0.01")), PriceStep(Decimal("0.05"), Decimal("0.03"))),
)


@given(instruments(), PRICES)
@example(ODD, Decimal("0.05"))
def test_rounded_prices_are_possible_and_on_their_side(one: Instrument, price: Decimal) -> None:
    low, high = one.floor_price(price), one.ceil_price(price)
    assert 0 <= low <= price <= high
    assert possible(one, low)
    assert possible(one, high)


@given(instruments(), PRICES)
def test_a_possible_price_stays(one: Instrument, price: Decimal) -> None:
    high = one.ceil_price(price)
    assert one.floor_price(high) == one.ceil_price(high) == high


@given(instruments(), PRICES, PRICES)
def test_no_possible_price_lies_between(one: Instrument, price: Decimal, other: Decimal) -> None:
    candidate = one.ceil_price(other)
    assert not one.floor_price(price) < candidate < price
    assert not price < candidate < one.ceil_price(price)


@given(st.decimals("1", "2000", places=6))
def test_without_a_rule_a_dollar_and_more_want_cents(price: Decimal) -> None:
    fine = Instrument("A", 1, "ARCA", Decimal("0.0001"), "US/Eastern", "", "")
    assert fine.floor_price(price) % Decimal("0.01") == 0
    assert fine.floor_price(Decimal("0.12345")) == Decimal("0.1234")


STEEP = replace(ODD, price_steps=(PriceStep(Decimal(0), Decimal("0.01")), PriceStep(Decimal("0.05"), Decimal("0.04"))))


def test_below_an_edge_that_is_no_price_itself_the_steps_below_it_count() -> None:
    assert STEEP.floor_price(Decimal("0.09")) == Decimal("0.08")
    assert STEEP.floor_price(Decimal("0.075")) == Decimal("0.04")
    assert STEEP.floor_price(Decimal("0.045")) == Decimal("0.04")
    assert STEEP.floor_price(Decimal("0.005")) == 0
    assert STEEP.floor_price(Decimal("-0.01")) == 0, "there is no price below nothing"
