"""A short run of `make fuzz`: every decoder by chance alone, and as `make fuzz` does it."""

from __future__ import annotations

import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fuzz.__main__ import by_chance, changed
from tests.fuzz.targets import TARGETS

PLANTED = """
import sys
from tests.fuzz import __main__, targets

def broken(data):
    if data.startswith(b"{"):
        raise KeyError("planted")

targets.TARGETS = {**targets.TARGETS, "signal": broken}
sys.argv = ["fuzz", "signal", "20", sys.argv[1]]
__main__.main()
"""


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", TARGETS)
def test_chance_finds_nothing_in_a_second(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a library thinks of such input is not the point
        assert by_chance(TARGETS[name], name, 1, tmp_path, random.Random(1)) > 0
    assert list(tmp_path.iterdir()) == []


def test_coverage_finds_nothing_in_a_second_and_the_inputs_are_counted(tmp_path: Path) -> None:
    """Of those on which orders depend."""
    guided = ("orders", "signal")
    done = fuzz("-m", "tests.fuzz.every", "1", str(tmp_path), *guided)
    assert done.returncode == 0, done.stdout + done.stderr
    *rows, total = [line.split() for line in done.stdout.splitlines()]
    counted = {name: int(tried.replace(",", "")) for name, tried in rows}
    assert counted.keys() == set(guided)
    assert min(counted.values()) > 0
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []
    assert total[3] == f"{sum(counted.values()):,},"


def test_a_finding_would_be_kept_and_told(tmp_path: Path) -> None:
    done = fuzz("-c", PLANTED, str(tmp_path))
    assert done.returncode != 0
    assert "planted" in done.stdout + done.stderr
    (kept,) = [path for path in tmp_path.iterdir() if path.is_file()]
    assert kept.read_bytes().startswith(b"{")


def test_chance_alone_changes_what_it_is_given() -> None:
    chance = random.Random(1)
    made = {changed(chance, [b"{}", b"[1, 2]"]) for _ in range(100)}
    assert len(made) > 50
