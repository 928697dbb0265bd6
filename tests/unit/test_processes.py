"""Knowing that a process is dead, and never saying it of a living, a hidden or a distant one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rebalancer.queueing import process_identity
from rebalancer.queueing.process_identity import dead_among, this_process
from tests.world import until


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its input ends."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def identity_of_a_child() -> str:
    code = "from rebalancer.queueing.process_identity import this_process; print(this_process())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_living_process_is_not_dead() -> None:
    assert dead_among([this_process()]) == []


def test_an_ended_process_is_dead() -> None:
    ended = identity_of_a_child()
    assert dead_among([ended]) == [ended]


def test_a_process_that_ended_and_was_not_waited_for_is_dead(child: subprocess.Popen[bytes]) -> None:
    identity = process_identity._identity(child.pid)
    child.kill()
    until(lambda: dead_among([identity]) == [identity])


def test_a_reused_pid_is_another_process() -> None:
    host, pid, _start = this_process().split("/")
    assert dead_among([f"{host}/{pid}/1.00"]) == [f"{host}/{pid}/1.00"]


def test_no_step_of_the_wall_clock_makes_a_living_process_dead(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NTP's first step at boot, a VM that was resumed: the kernel then tells another time of boot."""
    identity = process_identity._identity(child.pid)
    real = psutil.boot_time()
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: real + 3600)
    assert process_identity._identity(child.pid) == identity
    assert dead_among([identity]) == []


@pytest.mark.parametrize("pid", ["living", "ended"])
def test_a_process_that_is_hidden_from_us_is_not_dead_but_one_that_is_gone_is(
    pid: str, child: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ProtectProc=invisible and another user: /proc does not show it, and only a signal would be refused."""
    identity = process_identity._identity(child.pid)
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "stat").touch()
    monkeypatch.setattr(process_identity, "PROC", tmp_path)

    def refused(_pid: int, _signal: int) -> None:
        raise PermissionError if pid == "living" else ProcessLookupError

    monkeypatch.setattr(os, "kill", refused)
    assert dead_among([identity]) == ([] if pid == "living" else [identity])


def test_nothing_is_said_of_other_machines() -> None:
    assert dead_among(["elsewhere/1/1.00"]) == []


@pytest.mark.parametrize("differs", [0, 1, 2])
def test_nothing_is_said_of_another_start_or_container_of_the_same_name(
    differs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts of one name, or containers that share their host's: the same pid is another process."""
    host, _pid, _start = this_process().split("/")
    (tmp_path / "boot_id").write_text("another")
    (tmp_path / "namespace").symlink_to("of its own:[1]")
    space = list(process_identity.PID_SPACE)
    space[differs] = tmp_path / ("namespace" if differs else "boot_id")
    monkeypatch.setattr(process_identity, "PID_SPACE", tuple(space))
    process_identity._place.cache_clear()
    try:
        assert dead_among([f"{host}/1/1.00"]) == []
        assert this_process().split("/")[0] != host
    finally:
        process_identity._place.cache_clear()
