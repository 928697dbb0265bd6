"""What trading cost: the example of docs/execution-quality.md, and what is said where something is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from rebalancer.costs.records import AMOUNTS, ORDER_COLUMNS, as_text, order_record, summary_record
from rebalancer.costs.shortfall import Decided, SentOrder, Shortfall, measure
from rebalancer.costs.summary import By, Percentiles, percentiles, summarize, together
from rebalancer.domain.portfolio import Side

BUY = SentOrder(
    order_ref="a-1",
    event_id=UUID(int=1),
    attempt=1,
    account_id="DU1000001",
    symbol="SPY",
    side=Side.BUY,
    at=datetime(2026, 10, 5, 14, 31, tzinfo=UTC),
    quantity=100,
    sized_at=Decimal("500.06"),
    quote=Decided(Decimal("500.00"), Decimal("500.04")),
    shares=Decimal(100),
    paid=Decimal("50007.00"),
    commission=Decimal("1.00"),
)
SELL = replace(
    BUY,
    order_ref="a-2",
    symbol="TLT",
    side=Side.SELL,
    at=datetime(2026, 11, 2, 15, 0, tzinfo=UTC),
    sized_at=Decimal("90.00"),
    quote=Decided(Decimal("90.00"), Decimal("90.02")),
    paid=Decimal("9001.00"),
    commission=Decimal("-0.20"),
)


def usd(*amounts: str) -> list[Decimal]:
    return [Decimal(amount) for amount in amounts]


def test_a_buy_that_was_late_and_moved_the_market() -> None:
    assert measure(BUY) == Shortfall(*usd("50002.00", "2.00", "2.00", "1.00", "1.00"))
    found = measure(BUY)
    assert found is not None
    assert (found.total, round(found.basis_points() or 0, 2)) == (Decimal("6.00"), Decimal("1.20"))
    assert round(found.basis_points(found.spread) or 0, 2) == Decimal("0.40")


def test_a_sell_inside_the_spread_with_a_rebate_gains() -> None:
    found = measure(SELL)
    assert found == Shortfall(*usd("9001.00", "0.00", "1.00", "-1.00", "-0.20"))
    assert found.total == Decimal("-0.20")


def test_nothing_is_said_of_what_was_not_executed_or_has_no_quote() -> None:
    unfilled = replace(BUY, shares=Decimal(0), paid=Decimal(0), commission=Decimal(0))
    unknown = replace(BUY, quote=None)
    assert (measure(unfilled), measure(unknown)) == (None, None)
    whole = together([BUY, unfilled, unknown])
    assert (whole.orders, whole.without_quote, whole.filled) == (1, 1, Decimal("0.5"))
    assert whole.shortfall == measure(BUY)
    nothing = together([])
    assert (nothing.orders, nothing.filled, nothing.percentiles) == (0, None, None)
    assert nothing.shortfall.basis_points() is None


def test_months_and_runs_come_newest_first_the_others_dearest_first() -> None:
    orders = [BUY, replace(BUY, order_ref="a-3", attempt=2), SELL]
    keys = {by: [one.key for one in summarize(orders, by).parts] for by in By}
    assert keys == {
        By.MONTH: ["2026-11", "2026-10"],
        By.RUN: [f"{UUID(int=1)}/2", f"{UUID(int=1)}/1"],
        By.ACCOUNT: ["DU1000001"],
        By.SYMBOL: ["SPY", "TLT"],
    }


def test_percentiles_lie_between_orders_in_proportion() -> None:
    assert percentiles([Decimal(7)]) == Percentiles(Decimal(7), Decimal(7), Decimal(7))
    tens = [Decimal(value) for value in (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)]
    assert percentiles(tens[::-1]) == Percentiles(Decimal(10), Decimal(50), Decimal(90))
    assert percentiles([Decimal(0), Decimal(10)]) == Percentiles(Decimal(1), Decimal(5), Decimal(9))


def test_a_record_names_each_column_of_an_order_once() -> None:
    unknown = replace(BUY, quote=None)
    assert [tuple(order_record(order)) for order in (BUY, unknown)] == [ORDER_COLUMNS] * 2
    assert [name for name, value in order_record(unknown).items() if value is None] == ["bid", "ask", *AMOUNTS]
    assert order_record(BUY)["average_price"] == Decimal("500.07")


def test_what_is_kept_as_json_has_decimals_as_text() -> None:
    kept = as_text(summary_record(together([BUY])))
    assert (kept["cost"], kept["basis_points"], kept["orders"]) == ("6.000", "1.2000", 1)
    assert kept["percentiles"] == dict.fromkeys(("p10", "p50", "p90"), "1.2000")
    assert as_text(summary_record(together([])))["percentiles"] is None
