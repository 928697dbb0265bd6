"""Daily windows, over midnight and over a change of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rebalancer.domain.daily_window import DailyWindow

NIGHT = DailyWindow.parse("23:40-00:20", "America/New_York")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-01-06T04:39:59", None),
        ("2026-01-06T04:40:00", "2026-01-06T05:20:00"),
        ("2026-01-06T05:19:59", "2026-01-06T05:20:00"),
        ("2026-01-06T05:20:00", None),
        ("2026-07-06T03:50:00", "2026-07-06T04:20:00"),
    ],
)
def test_a_window_over_midnight(now: str, end: str | None) -> None:
    assert NIGHT.end_of(utc(now)) == (utc(end) if end else None)


def test_a_window_within_a_day() -> None:
    lunch = DailyWindow.parse("12:00-13:00", "UTC")
    assert lunch.end_of(utc("2026-01-06T12:30:00")) == utc("2026-01-06T13:00:00")
    assert lunch.end_of(utc("2026-01-06T11:59:59")) is None
    assert str(lunch) == "12:00-13:00 UTC"


@pytest.mark.parametrize(("text", "zone"), [("23:40", "UTC"), ("10:00-10:00", "UTC"), ("10:00-11:00", "Nowhere/Here")])
def test_what_is_no_window_is_refused(text: str, zone: str) -> None:
    with pytest.raises(ValueError, match=r"no span|unknown time zone"):
        DailyWindow.parse(text, zone)
