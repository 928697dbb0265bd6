"""The document of many trials: counts, and how soon what went wrong was made good; kept from command to command."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.chaos import results as chaos_results
from sandbox.chaos.report import document
from sandbox.chaos.results import Caught, Results
from sandbox.chaos.trial import Outcome

ONE = Outcome([], ["a halt"], calm_s=1.5, orders=3, recoveries=[("Redis killed", 2.5)])


def test_trials_are_counted_and_recoveries_ranked_by_kind(tmp_path: Path) -> None:
    results = Results(tmp_path / "chaos.jsonl")
    for number in range(1, 101):
        found = ["a finding"] if number == 100 else []
        results.add(number + 6, Outcome(found, [], number / 10, 2, [("Redis killed", float(number))]))
    results.add(120, Outcome([], [], calm_s=0, orders=1, recoveries=[("Beat killed", 0.0), ("beat killed", 1.25)]))
    text = document(results)
    assert "**100 of 101 trials sound**, seeds 7 to 106, 120: 102 strikes of\n3 kinds, 201 orders." in text
    assert "5.0, 9.5, 9.9 s (p50, p95, p99)" in text
    assert "Seed 106: a finding\n" in text
    assert "| Redis killed | 100 | 50.0 | 95.0 | 99.0 |" in text
    assert "| beat killed | 1 | 1.2 | 1.2 | 1.2 |" in text
    assert "What the judge sees" not in text


def test_what_the_judge_sees_is_told_beside_it(tmp_path: Path) -> None:
    results = Results(tmp_path / "chaos.jsonl")
    results.add(1, ONE)
    results.add_variant("claim removed", Caught(3, 20, "served | twice"))
    results.add_variant("blind there", Caught(None, 20))
    text = document(results)
    assert "**1 of\n2** ways to break" in text
    assert "| claim removed | 3 | served / twice |" in text
    assert "| blind there | not caught |  |" in text


def test_another_command_goes_on_with_what_is_on_record(tmp_path: Path) -> None:
    first = Results(tmp_path / "new" / "chaos.jsonl")
    first.add(1, ONE)
    first.add_variant("claim removed", Caught(3, 20, "served twice"))
    second = Results(tmp_path / "new" / "chaos.jsonl")
    assert second.trials.keys() == {1}
    assert document(second) == document(first)


def test_trials_of_another_state_of_the_program_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "chaos.jsonl"
    Results(file).add(1, ONE)
    monkeypatch.setattr(chaos_results, "PROGRAM", ("rebalancer",))
    changed = Results(file)
    assert not changed.trials
    changed.add(2, ONE)
    monkeypatch.undo()
    assert Results(file).trials.keys() == {1}, "and are left alone"
