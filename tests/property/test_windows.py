"""The minutes around the gateway's restart hold it, whenever and wherever it is."""

from __future__ import annotations

from datetime import time
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.daily_window import DailyMoment, DailyWindow

ZONES = st.sampled_from(["America/New_York", "Europe/Paris", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
MINUTES = st.builds(time, st.integers(0, 23), st.integers(0, 59))


@given(at=MINUTES, zone=ZONES)
def test_the_minutes_around_a_moment_hold_it_and_read_back(at: time, zone: str) -> None:
    moment = DailyMoment.parse(f"{at:%I:%M %p} {zone}")
    assert moment == DailyMoment(at, ZoneInfo(zone))
    span, _, name = str(moment.window()).partition(" ")
    assert moment.lies_in(DailyWindow.parse(span, name))
