"""Whatever a gateway writes, nothing that it says of money is lost to an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.ibkr import frames
from rebalancer.ibkr.frames import Fields
from rebalancer.ibkr.times import PUSH_DELAY, GatewayTime

ARRIVAL = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)
ZONES = ["", "JST", "US/Eastern", "EST", "China Standard Time", "GMT-05:00", "GMT+99", "Nowhere", "../etc", "UTC"]
ODD = st.text(max_size=30) | st.sampled_from(
    ["", "-1", "1.7976931348623157E308", "2147483647", "nan", "Filled", "1e400"]
)
MOMENTS = st.datetimes(min_value=datetime(2026, 11, 20), max_value=datetime(2026, 12, 2))  # noqa: DTZ001 - wall times


@st.composite
def times(draw: st.DrawFn) -> str:
    joint = draw(st.sampled_from([" ", "  ", "-"]))
    return f"{draw(MOMENTS):%Y%m%d{joint}%H:%M:%S} {draw(st.sampled_from(ZONES))}".rstrip()


@given(times() | ODD, times() | ODD)
def test_a_push_is_always_dated_near_its_arrival(text: str, greeting: str) -> None:
    time = GatewayTime()
    time.greeted(greeting, ARRIVAL)
    pushed = time.executed_at(text, ARRIVAL, pushed=True)
    assert abs(pushed.at - ARRIVAL) <= PUSH_DELAY
    assert pushed.at.utcoffset() == timedelta()
    listed = time.executed_at(text, ARRIVAL, pushed=False)
    assert ARRIVAL - timedelta(days=8) <= listed.at <= ARRIVAL + PUSH_DELAY
    assert time.day_start(ARRIVAL) <= ARRIVAL


@given(st.lists(ODD, max_size=40))
def test_no_fields_are_beyond_reading(values: list[str]) -> None:
    fields = Fields(values)
    fill = frames.execution(fields, ARRIVAL).fill
    assert fill.quantity >= 0
    assert fill.cumulative_quantity >= fill.quantity
    frames.status(fields, ARRIVAL)
    frames.commission(fields)
    frames.open_order(fields, ARRIVAL)
    frames.completed_order(fields)
