"""When a line's ticks amount to a quote."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rebalancer.domain.portfolio import MarketDataType
from rebalancer.ibkr.messages import ErrorMessage
from rebalancer.ibkr.quote_line import QuoteLine

LIVE = frozenset({MarketDataType.LIVE})
BID, ASK, LAST, CLOSE = 1, 2, 4, 9
DELAYED_BID, DELAYED_ASK = 66, 67


def line(accepted: frozenset[MarketDataType] = LIVE) -> QuoteLine:
    return QuoteLine("SPY", 1, 0, accepted)


def quoted() -> QuoteLine:
    two_sided = line()
    two_sided.price_tick(BID, 99.99, 100)
    two_sided.price_tick(ASK, 100.01, 100)
    return two_sided


def test_two_sides_make_a_quote() -> None:
    quote = quoted().quote()
    assert quote is not None
    assert (quote.bid, quote.ask, quote.last, quote.close) == (Decimal("99.99"), Decimal("100.01"), None, None)
    assert quote.at.tzinfo is UTC


@pytest.mark.parametrize("tick", [(BID, -1.0, 0.0), (ASK, -1.0, 0.0), (BID, 0.0, 100.0), (ASK, 100.01, 0.0)])
def test_emptied_side_is_no_quote(tick: tuple[int, float, float]) -> None:
    two_sided = quoted()
    two_sided.price_tick(*tick)
    assert two_sided.quote() is None


@pytest.mark.parametrize("price", [float("nan"), 1.7976931348623157e308])
def test_sentinel_price_is_no_quote(price: float) -> None:
    two_sided = quoted()
    two_sided.price_tick(BID, price, 100)
    assert two_sided.quote() is None


def test_size_of_zero_empties_a_side_until_the_next_size() -> None:
    two_sided = quoted()
    two_sided.size_tick(0, 0)
    assert two_sided.quote() is None
    two_sided.size_tick(0, 5)
    assert two_sided.quote() is not None


def test_crossed_book_is_no_quote_and_a_locked_one_is() -> None:
    two_sided = quoted()
    two_sided.price_tick(BID, 100.02, 100)
    assert two_sided.quote() is None
    assert not two_sided.hopeless
    two_sided.price_tick(ASK, 100.02, 100)
    assert two_sided.quote() is not None


def test_halted_symbol_has_no_quote() -> None:
    two_sided = quoted()
    two_sided.halted(1)
    assert two_sided.quote() is None
    assert "halted" in two_sided.description()
    two_sided.halted(0)
    assert two_sided.quote() is not None


def test_delayed_ticks_count_as_delayed_even_if_nobody_says_so() -> None:
    for accepted, usable in ((LIVE, False), (LIVE | {MarketDataType.DELAYED}, True)):
        delayed = line(accepted)
        delayed.price_tick(DELAYED_BID, 99.99, 100)
        delayed.price_tick(DELAYED_ASK, 100.01, 100)
        assert (delayed.quote() is not None) == usable
        assert delayed.hopeless != usable


def test_failed_line_never_has_a_quote_again() -> None:
    failed = quoted()
    failed.error(ErrorMessage(datetime.now(UTC), 1, 10197, "competing session"), harmless=False)
    failed.price_tick(BID, 99.98, 100)
    assert failed.quote() is None
    assert failed.description() == "code 10197: competing session"


def test_remark_explains_why_no_tick_came() -> None:
    silent = line()
    silent.error(ErrorMessage(datetime.now(UTC), 1, 10090, "partly"), harmless=True)
    assert not silent.hopeless
    assert silent.description() == "no tick (code 10090: partly)"


def test_listeners_hear_every_change() -> None:
    heard: list[QuoteLine] = []
    two_sided = line()
    two_sided.on_change.add(heard.append)
    two_sided.price_tick(BID, 99.99, 100)
    two_sided.price_tick(CLOSE, 99.0, 0)
    two_sided.size_tick(8, 1000)
    two_sided.data_type(1)
    assert len(heard) == 2
