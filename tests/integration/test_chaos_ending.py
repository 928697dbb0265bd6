"""Trials that are told to stop: nothing of them is left but what they have found out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from rebalancer.runner.programs import rebalancer_command
from rebalancer.runner.waiting import wait_until

UP_S, ENDED_S = 120.0, 60.0
SHORT = 7
"""The seed of a story with few orders, that is soon calm."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Its path is short, as those of sockets have to be."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@contextmanager
def sandbox(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command, with a folder of its own for everything that it leaves."""
    (folder / "temporary").mkdir()
    command = (sys.executable, rebalancer_command(), "sandbox", *words)
    environment = {**os.environ, "TMPDIR": str(folder / "temporary")}
    for name in ("DATABASE_URL", "REDIS_URL", "ENV_FILE"):
        environment.pop(name, None)
    started = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        for process in begun(folder):
            process.kill()
        started.communicate()


def begun(folder: Path) -> list[psutil.Process]:
    """What the command has begun, however it was begun: all have its environment."""
    return [one for one in psutil.process_iter() if _environment(one).get("TMPDIR") == str(folder / "temporary")]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}  # it has ended


def ends(started: subprocess.Popen[str], folder: Path, number: signal.Signals) -> None:
    started.send_signal(number)
    assert started.wait(ENDED_S) == 128 + number
    assert wait_until(lambda: not begun(folder), ENDED_S), "a server is left"
    left = [one.name for one in (folder / "temporary").iterdir() if one.name.startswith(("chaos-", "ledger-"))]
    assert left == []


def stacks(folder: Path, what: str, seed: str = "*") -> int:
    """So many that have come so far as to have this file."""
    return len(list(folder.glob(f"temporary/chaos-{seed}-*/*/{what}")))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("so_far", "number"),
    [("supervisord.conf", signal.SIGTERM), ("logs/listener.log", signal.SIGINT)],
    ids=["starting", "playing"],
)
def test_who_ends_it_leaves_nothing_running(folder: Path, so_far: str, number: signal.Signals) -> None:
    with sandbox(folder, "chaos", "--runs", "3", "--jobs", "2") as started:
        assert wait_until(lambda: stacks(folder, so_far) == 2 or started.poll() is not None, UP_S)
        assert len(begun(folder)) >= 2
        ends(started, folder, number)


@pytest.mark.timeout(300)
def test_what_was_found_out_until_then_is_written(folder: Path) -> None:
    with sandbox(folder, "chaos", "--runs", "2", "--seed", str(SHORT), "--report", "report.md") as started:
        assert started.stdout is not None
        assert started.stdout.readline().startswith(f"seed {SHORT}: ")
        assert wait_until(lambda: stacks(folder, "books.json", str(SHORT + 1)) == 1, UP_S)
        ends(started, folder, signal.SIGTERM)
    assert f"of 1 trials sound**, seeds {SHORT}: " in (folder / "report.md").read_text()


@pytest.mark.timeout(300)
def test_a_burst_that_is_ended_leaves_its_logs_alone(folder: Path) -> None:
    with sandbox(folder, "burst") as started:
        assert wait_until(lambda: [*folder.glob("temporary/burst-*/data/logs/listener.log")] != [], UP_S)
        ends(started, folder, signal.SIGTERM)
        assert started.stdout is not None
        told = started.stdout.read().split()[-1]
    assert (Path(told) / "data/logs/listener.log").exists()
