"""Processes that run all the time load nothing that only a terminal, or another of them, needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORES = {"DATABASE_URL": "postgresql://@/x", "REDIS_URL": "redis://localhost/0", "ENV_FILE": os.devnull}
FOR_TERMINALS = {"rich", "pygments", "prompt_toolkit", "wcwidth"}
OF_FLOWER = {"flower", "tornado", "prometheus_client"}


def loaded(code: str, *arguments: str) -> set[str]:
    """Packages that a process has loaded after that."""
    show = "import atexit, sys; atexit.register(lambda: print(*{name.partition('.')[0] for name in sys.modules}))"
    command = [sys.executable, "-c", f"{show}\n{code}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | STORES, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["api.app", "listener.service", "tasks.process"])
def test_a_process_that_serves_loads_nothing_for_terminals(module: str) -> None:
    assert loaded(f"import {module}") & FOR_TERMINALS == set()
    assert "rich" in loaded(f"import {module}, rich")


@pytest.mark.parametrize("module", ["api.app", "tasks.beat"])
def test_a_process_that_asks_nobody_loads_no_client(module: str) -> None:
    loaded(f"import sys, {module}; assert 'httpx' not in sys.modules")


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_a_command_loads_neither_the_others_nor_what_they_need(name: str) -> None:
    found = loaded("import runpy; runpy.run_module('tasks', run_name='__main__')", name, "--help")
    assert "celery" in found
    assert found & (OF_FLOWER | FOR_TERMINALS) == set()


def test_flower_is_one_of_the_commands() -> None:
    assert "flower" in loaded("import runpy; runpy.run_module('tasks', run_name='__main__')", "flower", "--help")
