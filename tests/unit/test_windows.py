"""Daily windows, over midnight and over a change of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from rebalancer.domain.daily_window import DailyMoment, DailyWindow

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


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("11:45 PM America/New_York", time(23, 45)),
        ("11:45pm America/New_York", time(23, 45)),
        ("05:03 AM America/New_York", time(5, 3)),
        ("12:00 AM America/New_York", time(0, 0)),
        ("12:30 PM America/New_York", time(12, 30)),
    ],
)
def test_a_moment_is_read_as_the_gateways_helper_takes_it(text: str, at: time) -> None:
    assert DailyMoment.parse(text).at == at


@pytest.mark.parametrize("text", ["23:45 UTC", "11:45 PM", "13:00 PM UTC", "0:10 AM UTC", "11:45 PM Nowhere", ""])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time like|unknown time zone"):
        DailyMoment.parse(text)


@pytest.mark.parametrize(
    ("moment", "window"),
    [("11:45 PM UTC", "23:40-23:55 UTC"), ("11:57 PM UTC", "23:52-00:07 UTC"), ("12:02 AM UTC", "23:57-00:12 UTC")],
)
def test_the_minutes_around_a_moment_hold_it(moment: str, window: str) -> None:
    restart = DailyMoment.parse(moment)
    assert str(restart.window()) == window
    assert restart.lies_in(restart.window())


@pytest.mark.parametrize(
    ("moment", "span", "zone", "held"),
    [
        ("11:45 PM America/New_York", "23:40-00:20", "America/New_York", True),
        ("11:59 PM America/New_York", "23:40-23:55", "America/New_York", False),
        ("11:45 PM Europe/Paris", "23:40-23:55", "America/New_York", False),
        ("05:45 AM Europe/Paris", "23:40-23:55", "America/New_York", False),  # not in March, between the two changes
        ("05:45 AM Europe/Paris", "23:40-01:00", "America/New_York", True),
        ("11:45 PM America/New_York", "04:40-04:55", "UTC", False),  # in winter only
    ],
)
def test_a_window_holds_a_moment_through_every_change_of_the_clocks(
    moment: str, span: str, zone: str, held: bool
) -> None:
    assert DailyMoment.parse(moment).lies_in(DailyWindow.parse(span, zone)) is held
