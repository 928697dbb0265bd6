"""Processes that run all the time load nothing that only a terminal, or another of them, needs."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from rebalancer.cli.deferred import Deferred
from rebalancer.cli.main import app

ROOT = Path(__file__).parents[2]
STORES = {"DATABASE_URL": "postgresql://@/x", "REDIS_URL": "redis://localhost/0", "ENV_FILE": os.devnull}
FOR_TERMINALS = {"rich", "pygments", "prompt_toolkit", "wcwidth"}
OF_SERVERS = {"alembic", "apprise", "celery", "fastapi", "httpx", "ib_async", "kombu", "redis"}
FOR_WORK = {"psycopg2", "pydantic", "sqlalchemy", "structlog", "yaml"}
PRESENT = "{name.partition('.')[0] for name, module in sys.modules.items() if module is not None}"
TYPED = "from rebalancer.cli import main; main()"
BEGINS = "import sys, click; from tasks.__main__ import main; main.get_command(click.Context(main), sys.argv[1])"
"""As far as Celery's own command."""
OF_FLOWER = {"flower", "tornado", "prometheus_client"}


@cache
def loaded(code: str, *arguments: str, status: int = 0) -> frozenset[str]:
    """Packages that a process has loaded after that."""
    return frozenset(at_its_end(code, f"*{PRESENT}", *arguments, status=status).split())


def at_its_end(code: str, what: str, *arguments: str, status: int = 0) -> str:
    """What a process prints of itself when it ends after that."""
    show = f"import atexit, gc, sys; atexit.register(lambda: print({what}))"
    command = [sys.executable, "-c", f"{show}\n{code}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | STORES, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("module", ["api.app", "listener.service", "tasks.process"])
def test_a_process_that_serves_loads_nothing_for_terminals(module: str) -> None:
    assert loaded(f"import {module}") & FOR_TERMINALS == set()
    assert "rich" in loaded("import rich")


@pytest.mark.parametrize("module", ["api.app", "tasks.beat"])
def test_a_process_that_asks_nobody_loads_no_client(module: str) -> None:
    assert "httpx" not in loaded(f"import {module}")


def test_the_api_brings_celery_along_once_something_is_asked_of_it() -> None:
    assert loaded("import api.app") & {"celery", "kombu"} == set()
    assert "celery" in loaded("import rebalancer.queueing.dispatcher")


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_a_command_loads_neither_the_others_nor_what_they_need(name: str) -> None:
    found = loaded("import runpy; runpy.run_module('tasks', run_name='__main__')", name, "--help")
    assert "celery" in found
    assert found & (OF_FLOWER | FOR_TERMINALS) == set()


def test_a_worker_has_the_brokers_client_before_it_forks_and_beat_never() -> None:
    found = loaded(BEGINS, "worker")
    assert "ib_async" in found
    assert found & {"numpy", "apprise"} == set()
    assert "ib_async" not in loaded(BEGINS, "beat")


def test_a_worker_composes_no_messages_to_people() -> None:
    assert at_its_end(BEGINS, "'rebalancer.notify.letters' in sys.modules", "worker") == "False"
    assert at_its_end("import rebalancer.notifier.post", "'rebalancer.notify.letters' in sys.modules") == "True"


def test_nothing_is_collected_while_a_worker_is_loaded_and_everything_after_it() -> None:
    looked_at_all = "gc.get_stats()[-1]['collections']"
    at_end = at_its_end(BEGINS, f"{looked_at_all}, gc.isenabled(), gc.get_freeze_count() > 100_000", "worker")
    assert at_end == "0 True True"


def test_worker_processes_end_with_their_parent_and_need_no_parser_of_c_for_that() -> None:
    told = "import signal, sys, tasks; from billiard.util import get_pdeathsig, set_pdeathsig"
    checked = f"{told}; set_pdeathsig(signal.SIGTERM); assert get_pdeathsig() == signal.SIGTERM"
    assert loaded(checked) & {"cffi", "pycparser"} == set()


def test_flower_is_one_of_the_commands() -> None:
    assert "flower" in loaded("import runpy; runpy.run_module('tasks', run_name='__main__')", "flower", "--help")


def test_what_lists_the_commands_loads_none_of_them() -> None:
    found = loaded(TYPED, "--help")
    assert "typer" in found
    assert found & (OF_SERVERS | FOR_WORK) == set()


def test_who_looks_at_events_loads_the_ledger_alone() -> None:
    found = loaded(TYPED, "events", status=1)  # no ledger is there
    assert found >= FOR_WORK
    assert found & (OF_SERVERS | {"pygments", "markdown_it", "numpy"}) == set()


def test_who_looks_at_events_loads_no_decisions() -> None:
    decisions = "rebalancer.operations.halts_and_approvals"
    assert at_its_end(TYPED, f"{decisions!r} in sys.modules", "events", status=1) == "False"
    assert at_its_end(f"import {decisions}", f"{decisions!r} in sys.modules") == "True"


def test_nothing_is_collected_while_a_command_is_loaded_and_everything_after_it() -> None:
    assert at_its_end(TYPED, "gc.isenabled(), gc.get_freeze_count() > 50_000", "events", status=1) == "True True"


GROUP = typer.main.get_command(app)
assert isinstance(GROUP, TyperGroup)
NAMES = GROUP.list_commands(typer.Context(GROUP))


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_listed_with_its_own_words(name: str) -> None:
    assert isinstance(GROUP, TyperGroup)
    listed = GROUP.commands[name]
    assert isinstance(listed, Deferred)
    called = listed.load()
    assert listed.help
    assert listed.help == called.help
    assert [option for parameter in called.params for option in parameter.opts if "completion" in option] == []


def test_a_name_that_nothing_has_is_refused_with_what_is_like_it() -> None:
    refused = CliRunner().invoke(app, ["sandbx"])
    assert (refused.exit_code, "'sandbox'" in refused.output) == (2, True)
