"""The gateway's texts of time: names that nobody knows, no names at all, clocks that are wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rebalancer.ibkr.times import GatewayTime, connection_time

NOW = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)
SUMMER = datetime(2026, 7, 1, 14, 30, tzinfo=UTC)


def gateway(greeting: str, now: datetime = NOW, ahead: timedelta = timedelta()) -> GatewayTime:
    time = GatewayTime()
    time.greeted(greeting, now)
    time.compare(now + ahead, now, now)
    return time


@pytest.mark.parametrize(
    ("greeting", "text"),
    [
        ("20261126 09:30:00 EST", "20261126 09:30:00 US/Eastern"),
        ("20261126 09:30:00 EST", "20261126 09:30:00 America/New_York"),
        ("20261126 09:30:00 EST", "20261126 09:30:00"),
        ("20261126 09:30:00 EST", "20261126  09:30:00"),
        ("20261126 09:30:00 EST", "20261126-14:30:00"),
        ("20261126 09:30:00 EST", "20261126 15:30:00 MET"),
        ("20261126 09:30:00 EST", "20261126 09:30:00 GMT-05:00"),
        ("20261126 23:30:00 JST", "20261126 23:30:00 JST"),
        ("20261126 23:30:00 JST", "20261126 23:30:00"),
        ("20261126 22:30:00 China Standard Time", "20261126 22:30:00 China Standard Time"),
        ("20261126 20:00:00 India Standard Time", "20261126 20:00:00"),
        ("20261126 15:30:00 Central European Standard Time", "20261126 15:30:00 CET"),
        ("20261126 14:30:00 Universal", "20261126 14:30:00 Universal"),
    ],
)
@pytest.mark.parametrize("pushed", [True, False])
def test_every_form_of_a_moment_means_the_same(greeting: str, text: str, pushed: bool) -> None:
    reading = gateway(greeting).executed_at(text, NOW, pushed=pushed)
    assert (reading.at, reading.doubt) == (NOW, None)


def test_a_name_of_winter_written_in_summer_is_read_by_the_gateways_clock() -> None:
    time = gateway("20260701 10:30:00 EST", SUMMER)
    assert time.executed_at("20260701 10:30:00 EST", SUMMER, pushed=False).at == SUMMER


def test_an_unknown_zone_of_another_machine_is_read_as_the_gateways() -> None:
    assert gateway("20261126 23:30:00 JST").executed_at("20261126 23:30:00 Nowhere", NOW, pushed=True).at == NOW


@pytest.mark.parametrize("text", ["", "soon", "20261126", "20269926 09:30:00", "20261126 25:00:00 EST", "9" * 30])
def test_what_cannot_be_read_happened_when_it_arrived_and_is_noted(text: str) -> None:
    reading = gateway("20261126 09:30:00 EST").executed_at(text, NOW, pushed=True)
    assert reading.at == NOW
    assert "cannot be read" in str(reading.doubt)


def test_a_push_is_seconds_old_whatever_its_text_says() -> None:
    reading = gateway("20261126 09:30:00 EST").executed_at("20261126 06:30:00 US/Eastern", NOW, pushed=True)
    assert reading.at == NOW
    assert "2026-11-26T11:30:00" in str(reading.doubt)


def test_a_listed_execution_may_be_hours_old_but_not_of_the_future() -> None:
    time = gateway("20261126 09:30:00 EST")
    assert time.executed_at("20261126 06:30:00 US/Eastern", NOW, pushed=False).at == NOW - timedelta(hours=3)
    assert time.executed_at("20261126 10:30:00 US/Eastern", NOW, pushed=False).at == NOW


def test_without_a_greeting_a_zoneless_push_falls_back_to_its_arrival() -> None:
    assert GatewayTime().executed_at("20261126 09:30:00", NOW, pushed=True).at == NOW


@pytest.mark.parametrize(("ahead_s", "latency_s", "least_s"), [(0, 0.1, 0), (0.9, 2, 0), (7, 0.5, 6.5), (-7, 0.5, -6)])
def test_whole_seconds_and_latency_prove_no_difference(ahead_s: float, latency_s: float, least_s: float) -> None:
    asked = NOW
    theirs = (asked + timedelta(seconds=ahead_s)).replace(microsecond=0)
    found = GatewayTime().compare(theirs, asked, asked + timedelta(seconds=latency_s))
    assert found == timedelta(seconds=least_s)


def test_the_zone_survives_a_clock_that_is_hours_ahead() -> None:
    time = gateway("20261126 12:30:00 EST", ahead=timedelta(hours=3))
    assert time.executed_at("20261126 09:30:00", NOW, pushed=False).at == NOW


def test_the_day_begins_at_the_gateways_midnight_by_its_clock() -> None:
    doubt = timedelta(seconds=10)
    assert gateway("20261126 23:30:00 JST").day_start(NOW) == datetime(2026, 11, 25, 15, tzinfo=UTC) + doubt
    late = gateway("20261127 00:10:00 JST", ahead=timedelta(minutes=40))
    assert late.day_start(NOW) == NOW - timedelta(minutes=10) + doubt
    assert late.day_start(NOW - timedelta(minutes=10, seconds=3)) == NOW - timedelta(minutes=10, seconds=3)
    assert GatewayTime().day_start(NOW) == NOW, "an unknown zone proves nothing"


def test_the_connection_time_is_taken_from_the_first_frame_only_when_it_is_whole() -> None:
    payload = b"178\x0020261126 09:30:00 EST\x00"
    frame = len(payload).to_bytes(4) + payload
    assert connection_time(frame + b"more") == "20261126 09:30:00 EST"
    assert connection_time(frame[:-3]) == ""
    assert connection_time(b"") == ""
