"""What trading cost: every figure once more by plain fractions, which round nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.costs.shortfall import PARTS, Decided, SentOrder, measure
from rebalancer.costs.summary import By, summarize, together
from rebalancer.domain.portfolio import Side

BEGAN = datetime(2025, 12, 1, tzinfo=UTC)

prices = st.decimals(min_value="0.0001", max_value="99999.9999", places=4)
fractional_shares = st.decimals(min_value=0, max_value=100_000, places=4)


@st.composite
def sent_orders(draw: st.DrawFn) -> SentOrder:
    bid = draw(prices)
    quote = draw(st.one_of(st.none(), st.just(Decided(bid, bid + draw(prices)))))
    shares = draw(fractional_shares)
    return SentOrder(
        order_ref=draw(st.uuids()).hex,
        event_id=UUID(int=draw(st.integers(0, 3))),
        attempt=draw(st.integers(1, 2)),
        account_id=draw(st.sampled_from(["DU1", "DU2"])),
        symbol=draw(st.sampled_from(["SPY", "TLT", "GLD"])),
        side=draw(st.sampled_from(Side)),
        at=BEGAN + timedelta(hours=draw(st.integers(0, 2400))),
        quantity=max(1, math.ceil(shares)),
        sized_at=draw(prices),
        quote=quote,
        shares=shares,
        paid=shares * draw(prices),
        commission=draw(st.decimals(min_value=-5, max_value=50, places=6)) if shares else Decimal(0),
        incomplete=draw(st.booleans()),
    )


def plainly(order: SentOrder) -> Fraction:
    """USD that the account has less than if all had been traded at the arrival price."""
    assert order.quote is not None
    mid = Fraction(order.quote.bid + order.quote.ask) / 2
    paid, worth = Fraction(order.paid), Fraction(order.shares) * mid
    return (paid - worth if order.side is Side.BUY else worth - paid) + Fraction(order.commission)


def measured(orders: Iterable[SentOrder]) -> list[SentOrder]:
    return [order for order in orders if order.quote is not None and order.shares]


@given(sent_orders())
def test_the_parts_of_an_order_sum_to_what_it_cost_exactly(order: SentOrder) -> None:
    found = measure(order)
    if found is None:
        assert order.quote is None or not order.shares
        return
    assert sum(Fraction(getattr(found, part)) for part in PARTS) == Fraction(found.total) == plainly(order)


@given(sent_orders())
def test_each_part_is_what_lies_between_two_prices(order: SentOrder) -> None:
    """Mid, touch, touch when it was sized, average of the executions: each step once, a sale's with the other sign."""
    found = measure(order)
    if found is None or order.quote is None:
        return
    sells = order.side is Side.SELL
    touch = Fraction(order.quote.bid if sells else order.quote.ask)
    prices = [
        Fraction(order.quote.bid + order.quote.ask) / 2,
        touch,
        Fraction(order.sized_at),
        Fraction(order.paid) / Fraction(order.shares),
    ]
    spread, delay, impact = ((after - before) * Fraction(order.shares) for before, after in pairwise(prices))
    steps = (-spread, -delay, -impact) if sells else (spread, delay, impact)
    assert (Fraction(found.spread), Fraction(found.delay), Fraction(found.impact)) == steps
    assert Fraction(found.commission) == Fraction(order.commission)
    rate = found.basis_points()
    assert rate is not None
    expected = plainly(order) / (Fraction(order.shares) * prices[0]) * 10_000
    assert abs(Fraction(rate) - expected) <= Fraction(1, 10**9) * max(1, abs(expected))


@given(st.lists(sent_orders(), max_size=20), st.sampled_from(By))
def test_whatever_orders_are_put_together_by_the_parts_sum_to_the_whole_exactly(
    orders: list[SentOrder], by: By
) -> None:
    found = summarize(orders, by)
    counted = measured(orders)
    assert Fraction(found.together.shortfall.total) == sum(map(plainly, counted))
    for part in ("worth", *PARTS):
        parts = sum(Fraction(getattr(one.shortfall, part)) for one in found.parts)
        assert parts == Fraction(getattr(found.together.shortfall, part))
    for count in ("orders", "without_quote", "incomplete"):
        assert sum(getattr(one, count) for one in found.parts) == getattr(found.together, count)
    assert found.together.orders == len(counted)
    assert found.together.incomplete == sum(order.incomplete for order in counted)
    assert found.together.without_quote == sum(order.quote is None and order.shares > 0 for order in orders)
    asked = sum(Fraction(one.quote.bid + one.quote.ask) * one.quantity / 2 for one in orders if one.quote)
    assert Fraction(found.together.asked) == asked
    worth = sum(Fraction(one.quote.bid + one.quote.ask) / 2 * Fraction(one.shares) for one in counted if one.quote)
    assert Fraction(found.together.shortfall.worth) == worth
    filled = found.together.filled
    assert filled is None if not asked else abs(Fraction(filled or 0) - worth / asked) <= Fraction(1, 10**9)


def percentile(values: Sequence[Fraction], part: Fraction) -> Fraction:
    """As spreadsheets have it (PERCENTILE.INC)."""
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@given(st.lists(sent_orders(), max_size=20))
def test_percentiles_are_those_of_a_spreadsheet(orders: list[SentOrder]) -> None:
    found = together(orders).percentiles
    values = [
        plainly(order) / (Fraction(order.shares) * Fraction(order.quote.mid)) * 10_000
        for order in measured(orders)
        if order.quote is not None
    ]
    if found is None:
        assert not values
        return
    for name, tenths in (("p10", 1), ("p50", 5), ("p90", 9)):
        expected = percentile(values, Fraction(tenths, 10))
        assert abs(Fraction(getattr(found, name)) - expected) <= Fraction(1, 10**9) * max(1, abs(expected))


@given(sent_orders())
def test_what_costs_a_buyer_more_costs_a_seller_less(order: SentOrder) -> None:
    """A mirror: with the quote turned round its middle, the other side pays the same with the opposite sign."""
    quote = order.quote
    if quote is None or not order.shares:
        return
    other = Side.SELL if order.side is Side.BUY else Side.BUY
    found = measure(order)
    mirrored = measure(replace(order, side=other, quote=Decided(quote.ask, quote.bid)))
    assert found is not None
    assert mirrored is not None
    for part in ("delay", "spread", "impact"):
        assert getattr(found, part) == -getattr(mirrored, part)
