"""What the measurements compute from what they measured."""

from __future__ import annotations

import pytest

from bench.floors import Floors
from bench.hot_path import CASES, Case
from bench.ratios import Ratio

FLOOR = Floors(round_trip_s=0.0, celery_s=0.01, commit_s=0.001)


@pytest.mark.parametrize(
    ("case", "messages", "processor_ms", "bound_s"),
    [
        # Eight runs of a connection one after the other, each of four round trips.
        (Case("connections", 100, 14, latency_ms=50), 10, 1, 8 * 0.2),
        (Case("fills", 14, 14, latency_ms=50, fill_ms=1000), 18, 1, 0.013 + 0.2 + 2),
        # 8 x 15 messages over a connection: 50 at once, 50 after a second, the rest after another.
        (Case("pace", 100, 14), 18, 1, 2.0),
        (Case("one second's worth", 20, 14), 28, 1, 0.013),
        (Case("processors", 100, 14, latency_ms=50), 18, 90, 4.5),
        (Case("one", 1, 1, latency_ms=50), 18, 90, 0.013 + 0.2),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_bound_of_a_case_is_what_binds_it_most(
    case: Case, messages: float, processor_ms: float, bound_s: float
) -> None:
    assert case.bound_s(FLOOR, messages, processor_ms, cores=2) == pytest.approx(bound_s)


def test_many_accounts_have_fewer_runs() -> None:
    runs = {case.name: case.runs_of(20) for case in CASES}
    assert runs["20-instant"] == 20
    assert runs["100-50ms"] == 4
    assert Case("many", 1000, 14).runs_of(20) == 1


@pytest.mark.parametrize(
    ("ours_s", "target", "verdict"), [(0.3, 3.0, "reached"), (0.31, 3.0, "not reached"), (9.0, None, "")]
)
def test_a_ratio_is_judged_by_its_target(ours_s: float, target: float | None, verdict: str) -> None:
    assert Ratio("enqueue", ours_s, 0.1, target).verdict == verdict
