"""A program of ours whose wall clock a trial sets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sandbox.forked.clock import set_clock
from tests.conftest import ROOT

PROGRAM = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
import tasks.base  # a module of the product that asks what time it is
from sandbox.forked.clock import go_by, set_clock

file, true = Path(sys.argv[1]), datetime.now
go_by(file)
for ahead_s in (0, 3600, -3600):
    set_clock(file, ahead_s)
    began = time.monotonic()
    for now in (tasks.base.datetime.now(UTC), datetime.fromtimestamp(time.time(), UTC)):
        assert abs(now - true(UTC) - timedelta(seconds=ahead_s)) < timedelta(seconds=5), now
        assert isinstance(now, tasks.base.datetime)
    assert 0 <= time.monotonic() - began < 5
assert type(tasks.base.datetime(2026, 1, 1)) is datetime
"""


def test_a_program_goes_by_the_clock_that_it_is_given_and_its_monotonic_one_goes_on(tmp_path: Path) -> None:
    set_clock(tmp_path / "clock", 0)
    command = (sys.executable, "-c", PROGRAM, str(tmp_path / "clock"))
    ended = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
