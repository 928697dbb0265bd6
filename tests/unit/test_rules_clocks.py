"""Clocks that differ hold a live run, with both times named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rebalancer.risk.clock_skew import apart

NOW = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)
TOLERANCE = timedelta(seconds=5)


@pytest.mark.parametrize("seconds", [0, 5, -5])
def test_clocks_within_the_tolerance_hold_nothing(seconds: int) -> None:
    assert apart(timedelta(seconds=seconds), NOW, TOLERANCE) is None


@pytest.mark.parametrize(("ahead", "shows"), [(timedelta(hours=3), "17:30:00"), (timedelta(seconds=-6), "14:29:54")])
def test_clocks_that_differ_hold_for_a_minute_and_name_both_times(ahead: timedelta, shows: str) -> None:
    held = apart(ahead, NOW, TOLERANCE)
    assert held is not None
    assert held.until == NOW + timedelta(minutes=1)
    for word in ("clock_apart", f"shows 2026-11-26 {shows} UTC", "ours 2026-11-26 14:30:00 UTC", "5 s allowed"):
        assert word in held.reason


def test_a_difference_that_grows_is_no_news() -> None:
    looks = [apart(timedelta(seconds=seconds), NOW, TOLERANCE) for seconds in (6, 90)]
    assert [held and held.news for held in looks] == ["clock_apart", "clock_apart"]
