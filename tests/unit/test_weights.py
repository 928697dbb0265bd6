"""One definition of a weight: a share of investable equity, with cash beyond the reserve as a row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.planning.weights import CASH, held_weights, weigh, weighed

PLAN: dict[str, Any] = {
    "equity": "100000",
    "reserve": "1000",
    "investable": "98950",
    "lines": [
        {"symbol": "BTAL", "target_weight": "0.2817"},
        {"symbol": "QQQ", "target_weight": "0.7173"},
        {"symbol": "OLD", "target_weight": "0"},
    ],
}


def held(symbol: str, quantity: str, price: str | None) -> dict[str, Any]:
    return {"symbol": symbol, "quantity": quantity, "price": price}


def test_what_is_on_target_shows_the_published_number_whatever_the_reserve() -> None:
    """BTAL of the case: 27.9 % of equity, 28.2 % of what is to be invested, and 28.2 % published."""
    value = Decimal("0.2817") * Decimal(98950)
    lines = {line.symbol: line for line in weigh(PLAN, [held("BTAL", "1", str(value))], Decimal(2000))}
    assert lines["BTAL"].current == lines["BTAL"].target == Decimal("0.2817")
    assert lines["BTAL"].drift == 0


def test_cash_is_the_last_row_and_its_target_is_what_the_targets_leave() -> None:
    lines = weigh(PLAN, [held("QQQ", "10", "100")], Decimal("1989.5"))
    assert [line.symbol for line in lines] == ["BTAL", "QQQ", CASH]
    assert lines[-1].current == Decimal("0.01")
    assert lines[-1].target == Decimal("0.0010")


def test_cash_below_the_reserve_is_negative() -> None:
    assert weigh(PLAN, [], Decimal(0))[-1].current < 0


def test_what_is_on_hold_or_never_traded_has_no_weight_and_no_row() -> None:
    positions = [held("MINE", "10", "500"), held("AAPL 260116C", "1", None), held("OLD", "3", "10")]
    assert held_weights(PLAN, positions)["MINE"] is None
    assert held_weights(PLAN, positions)["AAPL 260116C"] is None
    assert "MINE" not in {line.symbol for line in weigh(PLAN, positions, Decimal(0))}
    assert "OLD" in {line.symbol for line in weigh(PLAN, positions, Decimal(0))}


@pytest.mark.parametrize(("investable", "weight"), [("1", 50), ("0.5", 100), ("0", 0), ("-5", 0)])
def test_of_nothing_to_invest_everything_is_no_share(investable: str, weight: int) -> None:
    assert held_weights({**PLAN, "investable": investable}, [held("QQQ", "1", "50")]) == {"QQQ": weight}


def test_without_a_plan_there_is_no_weight() -> None:
    assert weigh(None, [held("QQQ", "1", "1")], Decimal(1)) == ()
    assert weighed(None, [held("QQQ", "1", "1")])[0]["weight"] is None


def test_an_older_record_with_weights_of_equity_shows_todays() -> None:
    older = {**held("QQQ", "989.5", "50"), "weight": "0.494750"}
    assert weighed(PLAN, [older])[0]["weight"] == "0.500000"


@given(st.lists(st.integers(0, 50_000), min_size=2, max_size=2), st.integers(0, 5_000))
def test_all_rows_add_up_to_what_there_is(values: list[int], reserve: int) -> None:
    cash = 100_000 - sum(values)
    investable = Decimal(100_000 - reserve)
    plan = {**PLAN, "reserve": str(reserve), "investable": str(investable)}
    positions = [held(symbol, "1", str(value)) for symbol, value in zip(("BTAL", "QQQ"), values, strict=True)]
    lines = weigh(plan, positions, Decimal(cash))
    assert abs(sum(line.current for line in lines) - 1) < Decimal("1e-20")
    assert sum(line.target for line in lines) == 1
