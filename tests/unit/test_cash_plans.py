"""When to sell for cash that is to be settled by a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.cash_plans import sale_time
from rebalancer.domain.trading_sessions import is_weekday, market_open, trading_day, weekday_after, weekday_before

MONDAY = date(2026, 3, 2)
OPEN = market_open(MONDAY)
BEFORE = OPEN - timedelta(hours=1)


@pytest.mark.parametrize(
    ("by", "sold"),
    [
        (date(2026, 3, 13), date(2026, 3, 11)),  # Friday: Wednesday settles on Thursday, a day in hand
        (date(2026, 3, 16), date(2026, 3, 12)),  # Monday: Thursday
        (date(2026, 3, 15), date(2026, 3, 11)),  # Sunday: as for Friday
        (date(2026, 3, 4), MONDAY),
        (date(2026, 3, 3), MONDAY),  # nothing in hand, and it can be had
    ],
)
def test_it_is_sold_with_a_weekday_in_hand(by: date, sold: date) -> None:
    assert sale_time(by, BEFORE) == market_open(sold)


def test_what_comes_late_is_sold_at_once_or_on_the_next_day() -> None:
    noon = OPEN + timedelta(hours=3)
    assert sale_time(date(2026, 3, 3), noon) == noon
    with pytest.raises(ValueError, match="sold on 2026-03-03 has settled on 2026-03-04: give that day or a later one"):
        sale_time(date(2026, 3, 3), OPEN + timedelta(hours=6))
    assert sale_time(date(2026, 3, 4), OPEN + timedelta(hours=6)) == market_open(date(2026, 3, 3))
    friday = market_open(date(2026, 3, 6)) + timedelta(hours=7)
    assert sale_time(date(2026, 3, 10), friday) == market_open(date(2026, 3, 9))


moments = st.integers(0, 400 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(moments, st.integers(0, 60))
def test_it_is_settled_by_the_day_or_refused_with_the_first_that_is_possible(now: datetime, days: int) -> None:
    by = trading_day(now) + timedelta(days=days)
    try:
        sold = sale_time(by, now)
    except ValueError as late:
        possible = date.fromisoformat(str(late).split("settled on ")[1][:10])
        assert possible > by
        assert sale_time(possible, now) >= now
        return
    assert sold >= now
    assert is_weekday(trading_day(sold))
    assert weekday_after(trading_day(sold)) <= by


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 10))
def test_weekdays_are_counted_alike_in_both_directions(day: date, number: int) -> None:
    later = weekday_after(day, number)
    assert is_weekday(later)
    assert weekday_before(later, number) <= day
    if is_weekday(day):
        assert weekday_before(later, number) == day
