"""Real prices, month after month, through planner and book; `bench/history.py` does the same with twenty years.

The excerpt is of the S&P 500 sample that skfolio ships (BSD-3-Clause, Copyright (c) 2023-2026 The skfolio developers).
"""

from __future__ import annotations

from pathlib import Path

from bench.history import LOOK_BACK, month_ends, simulate

EXCERPT = Path(__file__).parents[1] / "data" / "month_ends.csv"


def test_each_run_ends_within_a_share_of_target_and_every_cent_is_accounted_for() -> None:
    months = month_ends(EXCERPT.read_text(encoding="ascii").splitlines())
    outcome = simulate(months)
    assert outcome.runs == len(months) - LOOK_BACK == 18
    assert outcome.orders > 100
    assert 0 < outcome.furthest <= 1
