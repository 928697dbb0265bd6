"""When a schedule is due, and what a person may ask of a rebalance."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode, read_kind
from rebalancer.domain.recurrence import Recurrence, next_occurrence

SATURDAY = date(2026, 1, 31)


def opens(*day: int) -> datetime:
    """09:30 in New York in winter."""
    return datetime(*day, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("recurrence", "first", "after", "expected"),
    [
        ("once", date(2026, 1, 30), opens(2026, 1, 1), opens(2026, 1, 30)),
        ("once", date(2026, 1, 30), opens(2026, 1, 30), None),
        ("once", SATURDAY, opens(2026, 1, 30), opens(2026, 2, 2)),
        ("daily", date(2026, 1, 5), opens(2026, 1, 9), opens(2026, 1, 12)),
        ("daily", date(2026, 1, 5), datetime(2026, 1, 9, 14, 29, tzinfo=UTC), opens(2026, 1, 9)),
        ("weekly", date(2026, 1, 7), opens(2026, 1, 7), opens(2026, 1, 14)),
        ("weekly", date(2026, 1, 7), opens(2020, 1, 7), opens(2026, 1, 7)),
        ("monthly", SATURDAY, opens(2026, 2, 2), opens(2026, 3, 2)),
        ("monthly", date(2026, 1, 15), opens(2026, 1, 15), opens(2026, 2, 16)),
        ("quarterly", date(2025, 11, 30), opens(2026, 1, 1), opens(2026, 3, 2)),
        ("quarterly", date(2020, 2, 29), opens(2026, 1, 1), opens(2026, 3, 2)),
    ],
)
def test_next_occurrence(recurrence: str, first: date, after: datetime, expected: datetime | None) -> None:
    assert next_occurrence(Recurrence(recurrence), first, after) == expected


def test_new_york_time_is_kept_through_the_year() -> None:
    moment = next_occurrence(Recurrence.MONTHLY, date(2026, 1, 15), datetime(2026, 7, 1, tzinfo=UTC))
    assert moment == datetime(2026, 7, 15, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize("recurrence", list(Recurrence)[1:])
def test_occurrences_follow_each_other_for_years(recurrence: Recurrence) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    seen = []
    while moment.year < 2029:
        following = next_occurrence(recurrence, SATURDAY, moment)
        assert following is not None
        assert following > moment
        assert following.weekday() < 5
        seen.append(following)
        moment = following
    counts = {Recurrence.DAILY: 761, Recurrence.WEEKLY: 153, Recurrence.MONTHLY: 36, Recurrence.QUARTERLY: 12}
    assert abs(len(seen) - counts[recurrence]) <= 3


@pytest.mark.parametrize(
    ("data", "wish"),
    [
        ({}, RebalanceKind()),
        ({"kind": "full", "amount": "5"}, RebalanceKind()),
        ({"kind": "buy-only"}, RebalanceKind(RebalanceMode.BUY_ONLY)),
        ({"kind": "raise-cash", "amount": "5000.50"}, RebalanceKind(RebalanceMode.RAISE_CASH, Decimal("5000.50"))),
        ({"exec": "rebalance", "kind": "raise-cash", "amount": 5}, RebalanceKind()),
    ],
)
def test_a_wish_is_read(data: dict[str, object], wish: RebalanceKind) -> None:
    assert read_kind(data) == wish


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "some"},
        {"kind": ["full"]},
        *({"kind": "raise-cash", "amount": a} for a in (None, "", "x", 0, -1, "NaN", "inf")),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"known are|USD above 0"):
        read_kind(data)
