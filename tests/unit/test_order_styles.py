"""Which style an order has, what it is priced at, and why it has another one than its owner wants."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.order_styles import OrderStyle, StyleChoice, StyleRules, StyleTerms
from rebalancer.domain.orders import Algorithm, Instrument
from rebalancer.domain.portfolio import FeeSchedule, OrderType, ProposedOrder, Quote, Side
from rebalancer.planning.buying_power import PricedOrder, Terms, next_wave, ticket
from rebalancer.planning.style_choice import Situation, StyleChooser, Tried

# A Wednesday, 14:00 in New York; the session ends at 16:00, which is 21:00 UTC.
NOW = datetime(2026, 11, 18, 19, 0, tzinfo=UTC)
HOURS = "20261118:0930-20261118:1600;20261119:0930-20261119:1600"
FEES = FeeSchedule()
TERMS = StyleTerms(120, timedelta(minutes=15), 5, 15, timedelta(minutes=5), timedelta(minutes=18))
SITUATION = Situation(now=NOW, closing=timedelta(minutes=5))
MARKET = Terms(OrderType.MARKET, Decimal("0.005"), Decimal("0.05"))
QUOTE = Quote("A", Decimal("99.98"), Decimal("100.02"), NOW)


def instrument(exchange: str = "ARCA", hours: str = HOURS) -> Instrument:
    return Instrument("A", 1, exchange, Decimal("0.01"), "US/Eastern", hours, "")


def order(side: Side = Side.BUY, quantity: int = 100, symbol: str = "A") -> ProposedOrder:
    price = QUOTE.ask if side is Side.BUY else QUOTE.bid
    return ProposedOrder(symbol, side, quantity, price, FEES.estimate(quantity, price), "")


def chooser(
    style: OrderStyle | None = None, *, exchange: str = "ARCA", hours: str = HOURS, **situation: Any
) -> StyleChooser:
    known = {symbol: instrument(exchange, hours) for symbol in ("A", "B")}
    return StyleChooser(StyleRules(style), TERMS, OrderType.MARKET, known, replace(SITUATION, **situation))


def priced(style: OrderStyle, side: Side = Side.BUY, terms: Terms = MARKET, **situation: Any) -> PricedOrder:
    styling = chooser(style, **situation).styling(order(side), QUOTE, NOW)
    assert styling is not None
    return ticket(order(side), replace(terms, styles={"A": styling}), instrument())


RULES = StyleRules(
    usual=OrderStyle.ADAPTIVE_NORMAL,
    account=OrderStyle.MIDPRICE,
    symbols={"BIL": OrderStyle.LIMIT},
    over_usd={Decimal(50_000): OrderStyle.VWAP, Decimal(10_000): OrderStyle.WALK},
)


@pytest.mark.parametrize(
    ("symbol", "usd", "style", "why"),
    [
        ("BIL", 90_000, OrderStyle.LIMIT, "symbol BIL"),
        ("A", 50_001, OrderStyle.VWAP, "over 50000 USD"),
        ("A", 50_000, OrderStyle.WALK, "over 10000 USD"),
        ("A", 10_000, OrderStyle.MIDPRICE, "account"),
    ],
)
def test_the_symbol_comes_before_the_size_and_the_size_before_the_account(
    symbol: str, usd: int, style: OrderStyle, why: str
) -> None:
    assert RULES.wanted(symbol, Decimal(usd)) == (style, why)


def test_the_usual_style_is_that_of_accounts_that_name_none() -> None:
    assert replace(RULES, account=None).wanted("A", Decimal(1)) == (OrderStyle.ADAPTIVE_NORMAL, "ORDER_STYLE")
    bare = StyleRules(symbols={"BIL": OrderStyle.LIMIT})
    assert bare.any
    assert bare.wanted("A", Decimal(1)) is None
    assert not StyleRules().any


COLLAR = {Side.BUY: Decimal("100.52"), Side.SELL: Decimal("99.49")}


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(
    ("style", "order_type", "has_limit", "algorithm"),
    [
        (OrderStyle.MARKET, OrderType.MARKET, False, None),
        (OrderStyle.LIMIT, OrderType.LIMIT, True, None),
        (
            OrderStyle.ADAPTIVE_PATIENT,
            OrderType.MARKET,
            False,
            Algorithm("Adaptive", (("adaptivePriority", "Patient"),)),
        ),
        (OrderStyle.ADAPTIVE_NORMAL, OrderType.MARKET, False, Algorithm("Adaptive", (("adaptivePriority", "Normal"),))),
        (OrderStyle.ADAPTIVE_URGENT, OrderType.MARKET, False, Algorithm("Adaptive", (("adaptivePriority", "Urgent"),))),
        (OrderStyle.MIDPRICE, OrderType.MIDPRICE, True, None),
        (OrderStyle.MARKET_ON_CLOSE, OrderType.MARKET_ON_CLOSE, False, None),
        (OrderStyle.LIMIT_ON_CLOSE, OrderType.LIMIT_ON_CLOSE, True, None),
    ],
)
def test_each_style_is_one_of_ibkrs_order_types(
    style: OrderStyle, order_type: OrderType, has_limit: bool, algorithm: Algorithm | None, side: Side
) -> None:
    sent = priced(style, side)
    assert (sent.order_type, sent.algorithm) == (order_type, algorithm)
    assert sent.limit_price == (COLLAR[side] if has_limit else None)


def test_a_vwap_order_says_from_when_until_when() -> None:
    sent = priced(OrderStyle.VWAP)
    assert sent.order_type is OrderType.MARKET
    assert sent.algorithm == Algorithm(
        "Vwap",
        (
            ("maxPctVol", "0.2"),
            ("startTime", "20261118 14:00:00 US/Eastern"),
            ("endTime", "20261118 14:15:00 US/Eastern"),
            ("allowPastEndTime", "0"),
            ("noTakeLiq", "0"),
        ),
    )
    assert sent.styling is not None
    assert sent.styling.patience_s == 15 * 60 + 30


def test_algorithms_work_limit_orders_where_the_order_type_is_one() -> None:
    limit = replace(MARKET, order_type=OrderType.LIMIT)
    for style in (OrderStyle.ADAPTIVE_NORMAL, OrderStyle.VWAP):
        assert priced(style, terms=limit).limit_price == COLLAR[Side.BUY]
        assert priced(style, terms=limit).algorithm is not None
    assert priced(OrderStyle.MARKET, terms=limit).order_type is OrderType.MARKET, "whoever says market means it"
    assert priced(OrderStyle.MARKET_ON_CLOSE, terms=limit).order_type is OrderType.MARKET_ON_CLOSE


@pytest.mark.parametrize(
    ("side", "limits"),
    [
        (Side.BUY, ["100.00", "100.13", "100.26", "100.39", "100.52", "100.52"]),
        (Side.SELL, ["100.00", "99.88", "99.75", "99.62", "99.49", "99.49"]),
    ],
)
def test_a_walk_goes_from_the_middle_to_the_collar(side: Side, limits: list[str]) -> None:
    found = [
        priced(OrderStyle.WALK, side, tried={"A": Tried(OrderStyle.WALK, walked)} if walked else {})
        for walked in range(6)
    ]
    assert [one.limit_price for one in found] == [Decimal(limit) for limit in limits]
    assert {one.order_type for one in found} == {OrderType.LIMIT}
    waits = [one.styling and one.styling.patience_s for one in found]
    assert waits == [15, 15, 15, 15, None, None], "the last one works as long as any order"


def test_what_a_style_has_left_walks() -> None:
    made = chooser(OrderStyle.ADAPTIVE_NORMAL, tried={"A": Tried(OrderStyle.ADAPTIVE_NORMAL)})
    expected = StyleChoice(
        OrderStyle.WALK, "step 1 of 5, for what adaptive-normal has left", OrderStyle.ADAPTIVE_NORMAL
    )
    assert made.choice(order()) == expected
    assert made.choice(order(symbol="B")) == StyleChoice(OrderStyle.ADAPTIVE_NORMAL, "ORDER_STYLE")


@pytest.mark.parametrize(
    ("order_type", "style"), [(OrderType.MARKET, OrderStyle.MARKET), (OrderType.LIMIT, OrderStyle.LIMIT)]
)
def test_what_the_broker_refuses_goes_as_the_order_type_says(order_type: OrderType, style: OrderStyle) -> None:
    words = {"A": (OrderStyle.MIDPRICE, "387: Unsupported order type")}
    made = replace(chooser(OrderStyle.MIDPRICE, refused=words), order_type=order_type)
    why = "the broker refuses midprice: 387: Unsupported order type"
    assert made.choice(order()) == StyleChoice(style, why, OrderStyle.MIDPRICE)
    assert made.choice(order(symbol="B")) == StyleChoice(OrderStyle.MIDPRICE, "ORDER_STYLE")


def against(style: OrderStyle, **given: Any) -> str | None:
    choice = chooser(style, **given).choice(order())
    assert choice is not None
    if choice.instead_of is None:
        assert choice.style is style
        return None
    assert (choice.style, choice.instead_of) == (OrderStyle.MARKET, style)
    return choice.why.removeprefix(f"{style} by ORDER_STYLE, but ")


def at(text: str) -> datetime:
    """A time in New York, on that Wednesday."""
    hour, minute, second = (int(part) for part in text.split(":"))
    return datetime(2026, 11, 18, hour + 5, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("style", "exchange", "last"),
    [
        (OrderStyle.MARKET_ON_CLOSE, "NYSE", "15:50:00"),
        (OrderStyle.LIMIT_ON_CLOSE, "NYSE", "15:50:00"),
        (OrderStyle.MARKET_ON_CLOSE, "ARCA", "15:50:00"),
        (OrderStyle.MARKET_ON_CLOSE, "AMEX", "15:50:00"),
        (OrderStyle.MARKET_ON_CLOSE, "NASDAQ", "15:55:00"),
        (OrderStyle.MARKET_ON_CLOSE, "ISLAND", "15:55:00"),
    ],
)
def test_orders_for_the_close_keep_the_cut_off_of_their_exchange(style: OrderStyle, exchange: str, last: str) -> None:
    moment = at(last)
    assert against(style, exchange=exchange, now=moment - timedelta(seconds=1)) is None
    assert against(style, exchange=exchange, now=moment) == f"at {exchange} none is taken after {last[:5]} New York"
    assert chooser(style, exchange=exchange).sent_from(style, "A") == moment - timedelta(minutes=5)


def test_our_own_last_order_before_the_close_counts_where_it_is_earlier() -> None:
    """NASDAQ takes limit-on-close orders until two minutes before, MARKET_CLOSE_CUTOFF_S ends runs at five."""
    made = chooser(OrderStyle.LIMIT_ON_CLOSE, exchange="NASDAQ")
    assert made.sent_from(OrderStyle.LIMIT_ON_CLOSE, "A") == at("15:50:00")
    assert against(OrderStyle.LIMIT_ON_CLOSE, exchange="NASDAQ", now=at("15:55:00")) is not None


def test_on_a_half_day_the_cut_off_counts_back_from_its_close() -> None:
    half = "20261118:0930-20261118:1300;20261119:0930-20261119:1600"
    assert against(OrderStyle.MARKET_ON_CLOSE, hours=half, now=at("12:49:59")) is None
    closed = against(OrderStyle.MARKET_ON_CLOSE, hours=half, now=at("12:50:00"))
    assert closed == "at ARCA none is taken after 12:50 New York"


@pytest.mark.parametrize("style", [OrderStyle.MARKET_ON_CLOSE, OrderStyle.LIMIT_ON_CLOSE])
def test_no_order_for_the_close_where_a_buy_needs_what_the_sells_bring(style: OrderStyle) -> None:
    assert against(style, need_proceeds=True) == "buys need what is sold first"
    assert against(OrderStyle.ADAPTIVE_NORMAL, need_proceeds=True) is None


@pytest.mark.parametrize("style", [OrderStyle.MARKET_ON_CLOSE, OrderStyle.VWAP])
@pytest.mark.parametrize("hours", ["20261118:CLOSED", "nonsense"])
def test_nothing_waits_for_a_session_that_nobody_knows(style: OrderStyle, hours: str) -> None:
    assert against(style, hours=hours) == "no session is known"


def test_vwap_needs_its_minutes_before_the_last_order_of_the_day() -> None:
    assert against(OrderStyle.VWAP, now=at("15:40:00")) is None
    assert against(OrderStyle.VWAP, now=at("15:40:01")) == "less than 15 minutes of the session are left"
    overnight = datetime(2026, 11, 18, 23, 0, tzinfo=UTC)
    assert against(OrderStyle.VWAP, now=overnight) is None, "a preview at night is of the next morning"


def test_no_style_takes_longer_than_a_run_may() -> None:
    short = replace(TERMS, longest=timedelta(minutes=14))
    for style in (OrderStyle.VWAP, OrderStyle.MARKET_ON_CLOSE):
        choice = replace(chooser(style), terms=short).choice(order())
        assert choice is not None
        assert choice.instead_of is style
        assert "TASK_SOFT_TIME_LIMIT_S" in choice.why


@pytest.mark.parametrize("style", [style for style in OrderStyle if not style.plain])
def test_raised_cash_waits_for_nothing(style: OrderStyle) -> None:
    assert against(style, raises_cash=True) == "somebody waits for the cash that is raised"


@pytest.mark.parametrize("style", OrderStyle)
def test_outside_regular_hours_orders_are_limit_orders(style: OrderStyle) -> None:
    made = replace(chooser(style, extended=True), order_type=OrderType.LIMIT)
    choice = made.choice(order())
    assert choice is not None
    assert choice.style in (OrderStyle.LIMIT, OrderStyle.WALK)
    assert (choice.instead_of is None) is (style in (OrderStyle.LIMIT, OrderStyle.WALK))


def wave(style: OrderStyle, funds: str, quantity: int = 100) -> list[tuple[int, OrderType, Decimal | None]]:
    """Of an account without margin."""
    buy = order(quantity=quantity)
    styling = chooser(style).styling(buy, QUOTE, NOW)
    assert styling is not None
    terms = replace(MARKET, styles={"A": styling})
    tickets, _ = next_wave([buy], Decimal(funds), terms, {"A": instrument()}, FEES)
    return [(one.order.quantity, one.order_type, one.limit_price) for one in tickets]


@pytest.mark.parametrize(
    ("style", "with_cushion", "without"),
    [
        (OrderStyle.ADAPTIVE_NORMAL, OrderType.MARKET, OrderType.LIMIT),
        (OrderStyle.VWAP, OrderType.MARKET, OrderType.LIMIT),
        (OrderStyle.MARKET_ON_CLOSE, OrderType.MARKET_ON_CLOSE, OrderType.LIMIT_ON_CLOSE),
        (OrderStyle.MARKET, OrderType.MARKET, OrderType.LIMIT),
    ],
)
def test_what_has_no_limit_binds_its_cushion_and_gets_a_limit_where_that_is_lacking(
    style: OrderStyle, with_cushion: OrderType, without: OrderType
) -> None:
    # 100 x 100.02 x 1.05 and a fee of 1 are 10503.10; at the limit of 100.52 they are 10053.
    assert wave(style, "10503.10") == [(100, with_cushion, None)]
    assert wave(style, "10503.09") == [(100, without, COLLAR[Side.BUY])]
    assert wave(style, "10053") == [(100, without, COLLAR[Side.BUY])]
    assert wave(style, "10020") == [(100, without, Decimal("100.19"))], "a lower limit, within the funds"


def test_a_walk_binds_its_limit_and_never_goes_beyond_it_where_funds_are_short() -> None:
    assert wave(OrderStyle.WALK, "10001") == [(100, OrderType.LIMIT, Decimal("100.00"))]
    assert wave(OrderStyle.WALK, "5051") == [(50, OrderType.LIMIT, Decimal("100.00"))]
