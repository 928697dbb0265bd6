"""Every refusal of the gate, with its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import QuoteUnavailable, Refused
from rebalancer.domain.portfolio import MarketDataType, Position, Quote, Targets, TargetWeight
from rebalancer.planning import PlanningRules, plan
from rebalancer.risk.exclusions import check_agreement, set_apart
from rebalancer.risk.input_checks import check_account, check_quotes, check_targets, check_unchanged, without_cash
from rebalancer.risk.market_hours import HoursPolicy, calendars
from tests.unit.test_planning import account, quote, quotes, targets
from tests.unit.test_rules_hours import instrument

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
TODAY = NOW.date()
MINUTE = timedelta(minutes=1)
GOOD = Quote("SPY", Decimal(100), Decimal(101), NOW, last=Decimal(100), close=Decimal(100))


def judged_targets(as_of: date | None, *, allow_cash_share: bool = False, **weights: str) -> None:
    published = Targets("s", tuple(targets(**weights)), as_of)
    check_targets(published, TODAY, timedelta(days=100), allow_cash_share=allow_cash_share)


def invested(*, allow_cash_share: bool = True, stocks: tuple[str, ...] = (), **weights: str) -> dict[str, Decimal]:
    left = without_cash(tuple(targets(**weights)), allow_cash_share=allow_cash_share, stocks=stocks)
    return {entry.symbol: entry.weight for entry in left}


def judged_quote(**changes: Any) -> None:
    check_quotes({"SPY": replace(GOOD, **changes)}, NOW, MINUTE, Decimal("0.5"), allow_delayed=False)


def planned(equity: str, **changes: Any) -> None:
    rules = replace(PlanningRules(Decimal("0.01")), **changes)
    plan(account({"SPY": "10"}, "0", equity), targets(SPY="1"), quotes(SPY="100"), rules)


def planned_weights(**weights: str) -> None:
    plan(account({}, "1000", "1000"), targets(**weights), quotes(SPY="100", QQQ="50"), PlanningRules(Decimal(0)))


REFUSALS: list[tuple[str, Callable[[], object], dict[str, str]]] = [
    ("allocations_empty", lambda: judged_targets(None), {}),
    ("allocations_range", lambda: judged_targets(None, SPY="-0.1", QQQ="1"), {"SPY": "-0.1"}),
    ("allocations_range", lambda: judged_targets(None, SPY="NaN"), {"SPY": "NaN"}),
    ("allocations_range", lambda: judged_targets(None, SPY="60", QQQ="40"), {"SPY": "60", "QQQ": "40"}),
    ("allocations_sum", lambda: judged_targets(None, SPY="0.9"), {"sum": "0.9", "minimum": "0.99", "maximum": "1.01"}),
    ("allocations_sum", lambda: judged_targets(None, SPY="0.9", QQQ="0.12"), {"sum": "1.02"}),
    ("allocations_sum", lambda: judged_targets(None, allow_cash_share=True, SPY="0"), {"minimum": "0.01"}),
    (
        "allocations_cash_symbol",
        lambda: invested(allow_cash_share=False, SPY="0.5", CASH="0.3", USD="0.2"),
        {"CASH": "0.3", "USD": "0.2"},
    ),
    ("allocations_empty", lambda: invested(CASH="1"), {}),
    ("allocations_sum", lambda: invested(SPY="0.001", CASH="0.999"), {"minimum": "0.01"}),
    ("allocations_old", lambda: judged_targets(date(2026, 8, 14), SPY="1"), {"as_of": "2026-08-14"}),
    ("allocations_future", lambda: judged_targets(date(2026, 11, 25), SPY="1"), {"as_of": "2026-11-25"}),
    (
        "allocations_changed",
        lambda: check_unchanged(tuple(targets(SPY="1")), tuple(targets(SPY="0.5", QQQ="0.5"))),
        {"SPY": "1 -> 0.5", "QQQ": "0 -> 0.5"},
    ),
    ("account_type", lambda: check_account("DU1", TradingMode.LIVE, enabled=True), {"trading_mode": "live"}),
    ("account_type", lambda: check_account("U1", TradingMode.PAPER, enabled=True), {"account_id": "U1"}),
    ("account_disabled", lambda: check_account("DU1", TradingMode.PAPER, enabled=False), {}),
    ("quotes_stale", lambda: judged_quote(at=NOW - 2 * MINUTE), {"SPY": "120 s"}),
    ("quotes_delayed", lambda: judged_quote(data_type=MarketDataType.DELAYED), {"SPY": "delayed"}),
    ("quotes_far_from_close", lambda: judged_quote(close=Decimal(50)), {"SPY": "100.5 against 50"}),
    ("quotes_far_from_close", lambda: judged_quote(close=Decimal(1000)), {"SPY": "100.5 against 1000"}),
    ("market_hours_unknown", lambda: calendars_of("soon"), {}),
    ("equity_not_positive", lambda: planned("0"), {"equity": "0"}),
    ("reserve_exceeds_equity", lambda: planned("1000", reserve_amount=Decimal(990)), {"equity": "1000"}),
    ("reserve_range", lambda: planned("1000", reserve_fraction=Decimal(2)), {"reserve_fraction": "2"}),
    ("planning_rules", lambda: planned("1000", relative_band=Decimal(-1)), {"relative_band": "-1"}),
]


def calendars_of(hours: str) -> None:
    calendars([instrument("SPY", hours)], HoursPolicy(False, MINUTE, MINUTE))


@pytest.mark.parametrize(("rule", "judge", "numbers"), REFUSALS)
def test_refused_by_name_and_number(rule: str, judge: Callable[[], None], numbers: dict[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        judge()
    assert caught.value.rule == rule
    assert numbers.items() <= caught.value.numbers.items()
    assert all(number.split(" ")[0] in caught.value.reason for number in numbers.values() if rule != "allocations_sum")


@pytest.mark.parametrize("bad", ["0/101", "101/100", "NaN/101", "-1/1"])
def test_one_sided_and_crossed_quotes_are_refused(bad: str) -> None:
    with pytest.raises(QuoteUnavailable, match="SPY"):
        plan(
            account({}, "1000", "1000"),
            targets(SPY="1"),
            {"SPY": quote("SPY", *bad.split("/"))},
            PlanningRules(Decimal(0)),
        )


def test_what_is_good_passes() -> None:
    judged_targets(date(2026, 8, 15), SPY="0.995")
    judged_targets(None, allow_cash_share=True, SPY="0.4")
    judged_targets(TODAY + timedelta(days=1), SPY="1")
    check_unchanged(tuple(targets(SPY="1")), tuple(targets(SPY="1")))
    check_account("DU1", TradingMode.PAPER, enabled=True)
    check_account("U1", "live", enabled=True)
    judged_quote()
    judged_quote(close=None)
    judged_quote(data_type=MarketDataType.FROZEN)
    delayed = replace(GOOD, data_type=MarketDataType.DELAYED)
    check_quotes({"SPY": delayed}, NOW, MINUTE, Decimal("0.5"), allow_delayed=True)


def test_holdings_on_hold_are_neither_counted_nor_traded() -> None:
    snapshot = account({"SPY": "10", "AAPL": "20"}, "1000", "4000")
    left = set_apart(snapshot, targets(SPY="0.6", AAPL="0.4"), quotes(SPY="100", AAPL="100"), ("AAPL", "GLD"))
    assert left.snapshot.net_liquidation == 2000
    assert [entry.symbol for entry in left.snapshot.positions] == ["SPY"]
    assert left.weights == (TargetWeight("SPY", Decimal("0.6")),)
    assert left.notes == (
        "AAPL: 20 shares are on hold, neither counted nor traded",
        "the equity of this plan is USD cash and US stocks that may be traded only, 2000.00 USD",
        "AAPL: its target weight of 0.4 stays cash, the symbol is set apart",
    )
    made = plan(
        left.snapshot,
        left.weights,
        quotes(SPY="100"),
        replace(PlanningRules(Decimal(0)), minimum_weight_sum=Decimal(0)),
    )
    assert {order.symbol for order in made.orders} <= {"SPY"}


@pytest.mark.parametrize(
    ("cash", "net_liquidation", "hold", "equity"),
    [
        ("1000", "9000", "", "4000"),
        ("1000", "3500", "", "3500"),  # options that were written: what they owe is not there to invest
        ("1000", "9000", "AAPL", "2000"),
        ("-500", "9000", "", "2500"),
    ],
)
def test_what_is_no_us_stock_is_no_equity_to_invest(cash: str, net_liquidation: str, hold: str, equity: str) -> None:
    others = (Position("AAPL", Decimal(3), security_type="OPT"), Position("RY", Decimal(9), currency="CAD"))
    snapshot = account({"SPY": "10", "AAPL": "20"}, cash, net_liquidation, others)
    left = set_apart(snapshot, targets(SPY="1"), quotes(SPY="100", AAPL="100"), {hold})
    assert left.snapshot.net_liquidation == Decimal(equity)
    assert set(others) <= set(left.snapshot.positions)
    assert f"the equity of this plan is USD cash and US stocks that may be traded only, {equity}.00 USD" in left.notes


def test_a_stock_beside_other_holdings_needs_a_quote() -> None:
    option = Position("SPY", Decimal(1), security_type="OPT")
    with pytest.raises(QuoteUnavailable, match="AAPL"):
        set_apart(account({"AAPL": "1"}, "0", "100", (option,)), targets(SPY="1"), quotes(SPY="100"), ())


def test_what_is_on_hold_or_left_alone_needs_no_quote() -> None:
    snapshot = account({"AAPL": "1", "DEAD": "5", "SPY": "10"}, "1000", "2130")
    left = set_apart(snapshot, targets(SPY="1"), quotes(SPY="100"), ("AAPL",), {"DEAD": "is unknown"})
    assert left.snapshot.net_liquidation == 2000
    assert left.notes[1] == "DEAD: 5 shares are left alone, neither counted nor traded: is unknown"


def test_a_number_that_is_none_of_what_is_no_us_stock_stops_nothing() -> None:
    """Chance found it: what was set apart was looked for among the positions by their values, and this has none."""
    broken = Position("SPY", Decimal("sNaN"), currency="CAD")
    left = set_apart(account({"SPY": "10"}, "1000", "2000", (broken,)), targets(GLD="1"), {}, {"SPY"})
    assert left.snapshot.positions == (broken,)


def test_a_short_on_hold_keeps_what_covers_it() -> None:
    """Sold short for 20,000 USD, which are in the cash and owed."""
    snapshot = account({"TSLA": "-100"}, "120000", "100000")
    for seen in (quotes(TSLA="200", A="100"), quotes(A="100")):
        left = set_apart(snapshot, targets(A="1"), seen, ("TSLA",))
        assert left.snapshot.net_liquidation == pytest.approx(100_000, abs=2)
        assert left.snapshot.cash <= 100_000
        made = plan(left.snapshot, left.weights, seen, PlanningRules(Decimal("0.01")))
        assert sum(order.notional for order in made.buys) <= 99_000


def test_cash_in_another_currency_is_no_equity_to_invest() -> None:
    """60,000 in euros: with them in the base, no order would ever be proposed."""
    snapshot = replace(account({"A": "300", "B": "100"}, "0", "100000"), other_cash=Decimal(60_000))
    left = set_apart(snapshot, targets(A="0.5", B="0.5"), quotes(A="100", B="100"), ())
    made = plan(left.snapshot, left.weights, quotes(A="100", B="100"), PlanningRules(Decimal("0.01")))
    assert [(str(order.side), order.symbol) for order in made.orders] == [("SELL", "A"), ("BUY", "B")]
    check_agreement(left, snapshot.net_liquidation, Decimal("0.01"))


@pytest.mark.parametrize(
    ("net_liquidation", "refused"),
    [("92000", True), ("69400", False), ("69900", False), ("60000", True)],
)
def test_equity_that_cash_and_holdings_do_not_make_up_is_refused(net_liquidation: str, refused: bool) -> None:
    """The list lacks 226 SPY while the broker's equity counts them."""
    snapshot = account({"VXX": "134", "GLD": "360"}, "20000", net_liquidation)
    left = set_apart(snapshot, targets(GLD="1"), quotes(VXX="100", GLD="100"), ())
    if not refused:
        check_agreement(left, snapshot.net_liquidation, Decimal("0.01"))
        return
    with pytest.raises(Refused) as caught:
        check_agreement(left, snapshot.net_liquidation, Decimal("0.01"))
    assert caught.value.rule == "equity_disagrees"
    assert {"told": f"{net_liquidation}.00", "known": "69400.00"} == caught.value.numbers


def test_what_is_never_traded_explains_a_gap_and_a_hold_one_of_its_sign() -> None:
    option = Position("SPY", Decimal(1), security_type="OPT")
    beside = set_apart(account({"A": "1"}, "0", "500", (option,)), targets(A="1"), quotes(A="100"), ())
    check_agreement(beside, Decimal(500), Decimal("0.01"))
    held = set_apart(account({"A": "1", "B": "1"}, "0", "500"), targets(A="1"), quotes(A="100"), ("B",))
    check_agreement(held, Decimal(500), Decimal("0.01"))
    short = set_apart(account({"A": "9", "B": "1"}, "0", "500"), targets(A="1"), quotes(A="100"), ("B",))
    with pytest.raises(Refused, match="equity_disagrees"):
        check_agreement(short, Decimal(500), Decimal("0.01"))


def test_a_short_list_is_found_beside_options_by_the_value_of_the_stocks() -> None:
    option = Position("SPY", Decimal(1), security_type="OPT")
    snapshot = account({"A": "1"}, "0", "500", (option,))
    left = set_apart(replace(snapshot, stock_value=Decimal(300)), targets(A="1"), quotes(A="100"), ())
    with pytest.raises(Refused, match=r"value of the stocks is 300.00 USD.*100.00"):
        check_agreement(left, Decimal(500), Decimal("0.01"))
    abroad = Position("B", Decimal(2), foreign=True)
    beside = replace(account({"A": "1"}, "0", "500", (abroad,)), stock_value=Decimal(300))
    check_agreement(set_apart(beside, targets(A="1"), quotes(A="100"), ()), Decimal(500), Decimal("0.01"))


@pytest.mark.parametrize("price", ["100", "133.33", "299", "400", "66", "50"])
def test_a_price_that_looks_like_a_split_is_refused(price: str) -> None:
    """2:1, 3:2, 2:3, 1:2, 3:1 and 4:1 against a close of 200."""
    with pytest.raises(Refused, match="quotes_far_from_close"):
        check_quotes(
            {"A": replace(quote("A", price, price), at=NOW, close=Decimal(200))},
            NOW,
            MINUTE,
            Decimal("0.3"),
            allow_delayed=False,
        )


def test_a_drift_band_does_not_keep_what_left_the_strategy() -> None:
    snapshot = account({"A": "975", "X": "15"}, "1000", "100000")
    rules = PlanningRules(Decimal("0.01"), drift_band=Decimal("0.02"))
    made = plan(snapshot, targets(A="1"), quotes(A="100", X="100"), rules)
    assert [(order.symbol, order.quantity) for order in made.sells] == [("X", 15)]


def test_cash_is_the_share_that_is_not_invested_where_that_is_allowed() -> None:
    assert invested(SPY="0.5", CASH="0.3", USD="0.2") == {"SPY": Decimal("0.5")}
    assert invested(SPY="0.5", USD="0.5", stocks=("USD",)) == {"SPY": Decimal("0.5"), "USD": Decimal("0.5")}
    assert invested(allow_cash_share=False, SPY="1", CASH="0") == {"SPY": Decimal(1)}
