"""What order styles cost by month, each figure once more by plain arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any
from uuid import UUID

import pytest

from rebalancer.costs.shortfall import Decided, SentOrder
from rebalancer.costs.styles import StyleTable, by_style, style_record
from rebalancer.costs.summary import By, summarize
from rebalancer.domain.portfolio import Side

NOON = datetime(2026, 10, 5, 16, 0, tzinfo=UTC)
QUOTE = Decided(Decimal("99.98"), Decimal("100.02"))


def order(style: str, *, run: int = 1, symbol: str = "SPY", took: float | None = 2, **given: Any) -> SentOrder:
    """100 of them at 100.02 for 1 USD."""
    at = given.pop("at", NOON + timedelta(minutes=run))
    shares, price = Decimal(given.pop("shares", 100)), Decimal(given.pop("price", "100.02"))
    return SentOrder(
        order_ref=f"{run}-{symbol}-{style}-{at}",
        event_id=UUID(int=run),
        attempt=1,
        account_id="DU1",
        symbol=symbol,
        side=given.pop("side", Side.BUY),
        at=at,
        quantity=given.pop("quantity", 100),
        sized_at=given.pop("sized_at", Decimal("100.02")),
        quote=QUOTE,
        shares=shares,
        paid=shares * price,
        commission=Decimal(1) if shares else Decimal(0),
        style=style,
        chosen=given.pop("chosen", True),
        ended_at=None if took is None else at + timedelta(seconds=took),
        **given,
    )


def test_a_month_of_a_style_is_the_sum_of_its_orders_and_of_the_walks_that_it_left() -> None:
    later = NOON + timedelta(minutes=3)
    orders = [
        order("market", price="100.03", chosen=False),
        order("adaptive-normal", run=2, shares=60, price="100.00"),
        order(
            "walk",
            run=2,
            at=later,
            quantity=40,
            shares=0,
            took=None,
            instead_of="adaptive-normal",
        ),
        order("walk", run=2, at=later, quantity=40, shares=40, price="100.05", took=8, instead_of="adaptive-normal"),
        order("adaptive-normal", run=3, price="100.01", took=10),
    ]
    market, adaptive = sorted(by_style(orders), key=lambda one: one.style, reverse=True)
    assert (market.month, market.style, adaptive.style) == ("2026-10", "market", "adaptive-normal")
    # 60 at 100.00, 40 at 100.05 and 100 at 100.01, three commissions, against 100.00.
    cost = 60 * Decimal("0.00") + 40 * Decimal("0.05") + 100 * Decimal("0.01") + 3
    assert adaptive.costs.shortfall.total == cost
    assert adaptive.costs.shortfall.worth == 200 * 100
    assert adaptive.costs.shortfall.basis_points() == cost / 20_000 * 10_000
    assert adaptive.costs.orders == 3
    assert adaptive.filled == Decimal(160) / 200, "what the walk filled is none of its own"
    # The second run: from 16:02 to eight seconds after 16:03; the third one ten seconds.
    assert adaptive.seconds == median([Decimal(68), Decimal(10)])
    assert (adaptive.fell_back, market.fell_back) == (1, 0)
    assert market.costs.shortfall.total == 100 * Decimal("0.03") + 1
    record = style_record(adaptive)
    assert (record["filled"], record["seconds"]) == (Decimal("0.8"), Decimal(39))
    assert record["spread"] + record["impact"] + record["delay"] + record["commission"] == record["cost"]


def test_what_was_kept_from_a_style_counts_as_what_it_was() -> None:
    orders = [
        order("market", instead_of="midprice"),
        order("market", run=2, instead_of="midprice"),
        order("market", run=2, symbol="TLT", instead_of="midprice"),
    ]
    found = {one.style: one for one in by_style(orders)}
    assert (found["midprice"].costs.orders, found["midprice"].fell_back) == (0, 3)
    assert (found["market"].costs.orders, found["market"].fell_back) == (3, 0)
    assert found["midprice"].filled is None
    assert style_record(found["midprice"])["seconds"] is None


def test_a_fill_of_the_second_in_which_its_order_was_sent_took_no_time() -> None:
    """The broker's times are whole seconds, ours are not."""
    (one,) = by_style([order("market", took=-0.4)])
    assert one.seconds == 0


def test_a_style_that_is_a_walk_is_its_own() -> None:
    (found,) = by_style([order("walk", shares=0, took=None), order("walk", took=4)])
    assert (found.style, found.fell_back, found.filled) == ("walk", 0, Decimal("0.5"))


def test_the_newest_month_comes_first_and_in_it_the_dearest_style() -> None:
    november = NOON + timedelta(days=30)
    orders = [
        order("market", price="100.05"),
        order("vwap", price="100.01"),
        order("market", at=november),
        order("vwap", at=november, price="100.09"),
    ]
    found = [(one.month, one.style) for one in by_style(orders)]
    assert found == [("2026-11", "vwap"), ("2026-11", "market"), ("2026-10", "market"), ("2026-10", "vwap")]


@pytest.mark.parametrize("chosen", [True, False])
def test_orders_that_pass_by_are_counted_once_and_without_a_style_there_is_nothing_to_compare(chosen: bool) -> None:
    orders = [order("market", chosen=chosen), order("limit", run=2, chosen=False)]
    table = StyleTable()
    assert summarize(table.watching(orders), By.MONTH) == summarize(orders, By.MONTH)
    assert table.chosen is chosen
    assert table.rows == by_style(orders)
