"""A short burst; `make burst` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.endurance.burst import crowd
from sandbox.fault_trials.stage import Stage
from sandbox.fault_trials.trial import Trial

pytestmark = pytest.mark.timeout(300)


def test_of_many_signals_at_once_each_is_served_once_and_in_order(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)  # PostgreSQL may have a user of its own
    with Stage(tmp_path / "data", crowd(30)) as stage:
        found = Trial(stage, seed=1, pause_s=0, patience_s=120, tell=print).run(200, 0)
        assert stage.ask_gateway("GET", "/state")["executions"]
    assert found.sound, found
    assert found.recorded == 200
