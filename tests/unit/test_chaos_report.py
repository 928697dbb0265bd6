"""The document of many trials: counts, and how soon what went wrong was made good."""

from __future__ import annotations

from sandbox.chaos.report import Tally, document
from sandbox.chaos.trial import Outcome


def test_trials_are_counted_and_recoveries_ranked_by_kind() -> None:
    tally = Tally(first_seed=7)
    for number in range(1, 101):
        found = ["a finding"] if number == 100 else []
        tally.add(Outcome(found, [], calm_s=number / 10, orders=2, recoveries=[("Redis killed", float(number))]))
    tally.add(Outcome([], [], calm_s=0, orders=1, recoveries=[("Beat killed", 0.0), ("beat killed", 1.25)]))
    text = document(tally)
    assert "**100 of 101 trials sound**, seeds 7 to 107: 102 strikes of\n3 kinds, 201 orders." in text
    assert "5.0, 9.5, 9.9 s (p50, p95, p99)" in text
    assert "| Redis killed | 100 | 50.0 | 95.0 | 99.0 |" in text
    assert "| beat killed | 1 | 1.2 | 1.2 | 1.2 |" in text
