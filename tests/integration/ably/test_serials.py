"""Positions stay in order whatever the clock does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.ably.serials import START, ChannelSerial, next_position, parse_serial


@given(st.lists(st.integers(min_value=0, max_value=10**13), max_size=50))
def test_positions_only_rise(clock: list[int]) -> None:
    positions = [START]
    for now_ms in clock:
        positions.append(next_position(positions[-1], now_ms))
    assert positions == sorted(set(positions))


def test_positions_rise_when_the_counter_of_a_millisecond_is_full() -> None:
    positions = [START]
    for _ in range(2500):
        positions.append(next_position(positions[-1], 5))
    assert positions == sorted(set(positions))


def test_a_serial_reads_back() -> None:
    serial = ChannelSerial(START, "abcdefghi0")
    assert parse_serial(str(serial)) == serial


@pytest.mark.parametrize(
    "text", [None, "", "nonsense", "1-000@abcdefghi0", f"{START}@short", f"{START}@abcdefghi0:000"]
)
def test_what_this_server_never_issued_is_no_serial(text: str | None) -> None:
    assert parse_serial(text) is None
