"""Knowing that a process is dead, and never saying it of a living or a distant one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rebalancer import processes
from rebalancer.processes import dead_among, this_process


def identity_of_a_child() -> str:
    code = "from rebalancer.processes import this_process; print(this_process())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_living_process_is_not_dead() -> None:
    assert dead_among([this_process()]) == []


def test_an_ended_process_is_dead() -> None:
    ended = identity_of_a_child()
    assert dead_among([ended]) == [ended]


def test_a_reused_pid_is_another_process() -> None:
    host, pid, _start = this_process().split("/")
    assert dead_among([f"{host}/{pid}/1.00"]) == [f"{host}/{pid}/1.00"]


def test_nothing_is_said_of_other_machines() -> None:
    assert dead_among(["elsewhere/1/1.00"]) == []


@pytest.mark.parametrize("differs", [0, 1])
def test_nothing_is_said_of_another_start_or_container_of_the_same_name(
    differs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts of one name, or containers that share their host's: the same pid is another process."""
    host, _pid, _start = this_process().split("/")
    (tmp_path / "boot_id").write_text("another")
    (tmp_path / "pid").symlink_to("pid:[1]")
    space = list(processes.PID_SPACE)
    space[differs] = (tmp_path / "boot_id", tmp_path / "pid")[differs]
    monkeypatch.setattr(processes, "PID_SPACE", tuple(space))
    processes._place.cache_clear()
    try:
        assert dead_among([f"{host}/1/1.00"]) == []
        assert this_process().split("/")[0] != host
    finally:
        processes._place.cache_clear()
