"""A short trial by faults with the real processes; `rebalancer sandbox faults` is the long one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from sandbox.fault_trials.kinds import KINDS
from sandbox.fault_trials.run import table
from sandbox.fault_trials.stage import Stage
from sandbox.fault_trials.trial import Trial


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "ENV_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_lost_nor_served_twice_whatever_fails() -> None:
    # Not below tmp_path: as root, PostgreSQL's user has to pass through, and pytest closes that way.
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder) / "data") as stage:
        trial = Trial(stage, seed=35, pause_s=0.02, patience_s=60, tell=print)
        findings = trial.run(messages=160, faults=len(KINDS))
    print(table(findings))
    assert findings.sound, findings
    assert set(findings.faults) == set(KINDS)
