"""Trading hours as IBKR writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rebalancer.domain.trading_sessions import TradingSession, is_open, next_morning, next_open, parse

WEEK = "20261123:0930-20261123:1600;20261124:CLOSED;20261125:0930-20261125:1300"


def utc(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_sessions_are_utc_and_closed_days_have_none() -> None:
    assert parse(WEEK, "US/Eastern") == (
        TradingSession(utc(23, 14, 30), utc(23, 21)),
        TradingSession(utc(25, 14, 30), utc(25, 18)),
    )


@pytest.mark.parametrize("zone", ["US/Eastern", "America/New_York", "EST5EDT", "EST", "EST (Eastern Standard Time)"])
def test_new_york_has_daylight_saving_under_every_name(zone: str) -> None:
    winter, summer = parse("20260302:0930-20260302:1600;20260309:0930-20260309:1600", zone)
    assert winter.start == utc(2, 14, 30, month=3)
    assert summer.start == utc(9, 13, 30, month=3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20261123:0930-1600", [(utc(23, 14, 30), utc(23, 21))]),
        ("20261123:0930-1130,1300-1600", [(utc(23, 14, 30), utc(23, 16, 30)), (utc(23, 18), utc(23, 21))]),
        (
            "20261123:0930-20261123:1130,20261123:1300-20261123:1600",
            [(utc(23, 14, 30), utc(23, 16, 30)), (utc(23, 18), utc(23, 21))],
        ),
        ("20261123:0400-0930,0930-1600", [(utc(23, 9), utc(23, 21))]),
        ("20261122:2000-20261123:1600", [(utc(23, 1), utc(23, 21))]),
        ("20261124:0930-1600; 20261123:0930-1600;", [(utc(23, 14, 30), utc(23, 21)), (utc(24, 14, 30), utc(24, 21))]),
        ("20261126:CLOSED", []),
    ],
)
def test_forms(text: str, expected: list[tuple[datetime, datetime]]) -> None:
    assert [(session.start, session.end) for session in parse(text, "US/Eastern")] == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "closed",
        "20261123:0930",
        "20261123:0930-1600-1700",
        "20261399:0930-1600",
        "20261123:2530-2600",
        "20261123:1600-0930",
        "0930-1600",
        "20261123:0930-20261123:1600x",
        "20261123:٠٩٣٠-1600",
    ],
)
def test_malformed_hours_are_an_error_that_quotes_them(text: str) -> None:
    with pytest.raises(ValueError, match="trading hours") as caught:
        parse(text, "US/Eastern")
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd"])
def test_an_unknown_zone_is_an_error(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        parse(WEEK, zone)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (utc(23, 14, 29), False),
        (utc(23, 14, 30), True),
        (utc(23, 20, 59), True),
        (utc(23, 21), False),
        (utc(24, 16), False),
        (utc(25, 17, 59), True),
        (utc(25, 18), False),
    ],
)
def test_is_open(now: datetime, *, expected: bool) -> None:
    assert is_open(parse(WEEK, "US/Eastern"), now) is expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(utc(23, 9), utc(23, 14, 35), id="before the open: after the delay"),
        pytest.param(utc(23, 14, 31), utc(23, 14, 35), id="within the delay"),
        pytest.param(utc(23, 16), utc(23, 16), id="open: now"),
        pytest.param(utc(23, 20, 49), utc(23, 20, 49), id="just before the cut-off"),
        pytest.param(utc(23, 20, 50), utc(25, 14, 35), id="past the cut-off: the next session"),
        pytest.param(utc(24, 12), utc(25, 14, 35), id="closed day"),
        pytest.param(utc(25, 17, 55), None, id="nothing known"),
    ],
)
def test_next_open(now: datetime, expected: datetime | None) -> None:
    delay, cutoff = timedelta(minutes=5), timedelta(minutes=10)
    assert next_open(parse(WEEK, "US/Eastern"), now, delay, cutoff) == expected


def test_a_session_shorter_than_delay_and_cutoff_is_passed_over() -> None:
    sessions = parse("20261123:0930-0940;20261124:0930-1600", "US/Eastern")
    assert next_open(sessions, utc(23, 9), timedelta(minutes=5), timedelta(minutes=5)) == utc(24, 14, 35)


@pytest.mark.parametrize(
    ("now", "morning"),
    [
        ("2026-01-05T15:00", "2026-01-06T14:30"),
        ("2026-01-06T03:00", "2026-01-06T14:30"),
        ("2026-01-09T20:00", "2026-01-12T14:30"),
        ("2026-07-10T20:00", "2026-07-13T13:30"),
    ],
)
def test_proceeds_have_settled_on_the_next_weekday_in_new_york(now: str, morning: str) -> None:
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, morning)]
    assert next_morning(moments[0]) == moments[1]
