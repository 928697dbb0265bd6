"""Money-weighted rates once more by a peer library, which solves for them in its own way."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.returns.measures import Flow, annual, money_weighted

pyxirr = pytest.importorskip("pyxirr", reason="no wheel of pyxirr for this Python")

BEGIN = date(2020, 1, 1)
DAYS = 365
"""Of pyxirr's year; ours has a quarter more."""


def at(day: int) -> datetime:
    return datetime.combine(BEGIN + timedelta(days=day), time(), UTC)


@given(
    st.integers(200, 8_000),
    st.integers(10_000, 200_000),
    st.floats(0.4, 4),
    st.lists(st.tuples(st.floats(0.01, 0.99), st.integers(-700, 5_000)), max_size=12),
)
def test_it_is_the_rate_of_a_peer_library(days: int, start: int, gain: float, drawn: list[tuple[float, int]]) -> None:
    """Of accounts as they are: of one that has lost nearly everything within a month the peer finds no rate."""
    flows = sorted((max(1, int(part * days)), amount) for part, amount in drawn)
    final = int((start + sum(amount for _, amount in flows)) * gain)
    found = money_weighted(
        at(0), Decimal(start), [Flow(at(day), Decimal(amount)) for day, amount in flows], at(days), Decimal(final)
    )
    dates = [BEGIN + timedelta(days=day) for day in (0, *(day for day, _ in flows), days)]
    peer = pyxirr.xirr(dates, [-start, *(-amount for _, amount in flows), final])
    assert found is not None
    assert peer is not None
    assert float(found) == pytest.approx((1 + peer) ** (days / DAYS) - 1, abs=2e-6, rel=2e-6)
    yearly = annual(found, at(0), at(days))
    if yearly is not None:
        assert float(yearly) == pytest.approx((1 + peer) ** (365.25 / DAYS) - 1, abs=5e-6, rel=5e-6)
