"""`rebalancer up` says so, before it starts anything, when another installation is at work on the machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rebalancer.runner.folder import folder_at
from rebalancer.runner.neighbours import DISPATCHER, neighbours
from rebalancer.runner.stack import Stack, StackOptions
from rebalancer.runner.stopping import MARK


@contextmanager
def dispatcher(root: Path | None) -> Iterator[int]:
    """A process that looks like a dispatcher which that data folder's stack has started, or somebody else."""
    told = "import sys; print('up', flush=True); sys.stdin.read()"
    environment = {} if root is None else {MARK: str(root)}
    command = [sys.executable, "-c", told, DISPATCHER]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid


def place(tmp_path: Path, name: str, world: str) -> Path:
    root = tmp_path / name
    root.mkdir()
    (root / "world").write_text(f"{world}\n")
    return root


def test_another_folders_installation_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "none"))
    (tmp_path / "none").touch()
    there, told = place(tmp_path, "there", "broker"), list[tuple[str, str]]()
    options = StackOptions(data_dir=tmp_path / "here", programs=lambda _site: (), migrate=())
    with dispatcher(there), Stack(options, lambda stage, detail: told.append((stage, detail))):
        pass
    (warned,) = [
        number for number, (_, detail) in enumerate(told) if "ANOTHER INSTALLATION" in detail and str(there) in detail
    ]
    assert warned < [stage for stage, _ in told].index("starting")


def test_sandboxes_and_our_own_leftovers_are_none(tmp_path: Path) -> None:
    ours, sandbox = place(tmp_path, "ours", "broker"), place(tmp_path, "sandbox", "sandbox")
    with dispatcher(ours), dispatcher(sandbox), dispatcher(None) as stranger:
        found = neighbours(folder_at(ours))
    assert str(ours) not in found
    assert str(sandbox) not in found
    assert [one for one in found if one.startswith(f"process {stranger} of ")]
