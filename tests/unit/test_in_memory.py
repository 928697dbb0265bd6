"""What tests write is in memory, where there is room, and nothing of it stays there unasked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.tools import in_memory

WRITES = "import pathlib, sys, tempfile; pathlib.Path(tempfile.mkdtemp(), 'log').write_text('said'); sys.exit({code})"


def run(memory: Path, code: int, room_bytes: int = 1) -> int:
    return in_memory.main([sys.executable, "-c", WRITES.format(code=code)], memory, room_bytes)


@pytest.mark.parametrize("code", [0, 2])
def test_nothing_is_left_of_tests_that_passed_or_were_interrupted(tmp_path: Path, code: int) -> None:
    assert run(tmp_path, code) == code
    assert list(tmp_path.iterdir()) == []


def test_of_tests_that_failed_it_is_said_where_to_look(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, in_memory.FAILED) == in_memory.FAILED
    (left,) = tmp_path.rglob("log")
    assert f"is in {left.parents[1]}: remove it" in capfd.readouterr().out


def test_without_room_it_goes_where_it_always_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "usual"))
    for name in ("usual", "memory"):
        (tmp_path / name).mkdir()
    assert run(tmp_path / "memory", 0, room_bytes=1 << 62) == 0
    assert [path.read_text() for path in (tmp_path / "usual").rglob("log")] == ["said"]
