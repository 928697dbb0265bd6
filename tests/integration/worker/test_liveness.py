"""Health checks of single processes: each passes for a process that works, and fails for one that does not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from api.app import create_app
from rebalancer import liveness
from rebalancer.ledger import components
from rebalancer.ledger.components import BEAT, WORKER
from rebalancer.liveness import Role
from rebalancer.settings import Settings
from tests.serving import serving
from tests.world import World, until

NODE = f"worker@{socket.gethostname()}"


def _says(here: World, role: Role, **changes: object) -> tuple[bool, str]:
    settings = Settings.model_validate({**here.settings.model_dump(exclude_unset=True), **changes})
    found = liveness.check(role, settings)
    return found.ok, found.detail


@pytest.mark.parametrize("role", list(Role))
def test_what_does_not_run_is_not_alive(here: World, role: Role) -> None:
    """Not even when the same works on another machine."""
    with here.ledger.begin() as session:
        for name in (BEAT, WORKER):
            components.seen(session, name, "elsewhere/1/1.00", {})
    assert not _says(here, role, realtime_api_key="name:secret", api_port=1, flower_port=1)[0]


@pytest.mark.parametrize("role", [Role.WORKER, Role.BEAT, Role.LISTENER])
def test_without_the_ledger_nothing_is_proven(here: World, role: Role, tmp_path: Path) -> None:
    away = f"postgresql+psycopg2://postgres@/postgres?host={tmp_path}"
    ok, detail = _says(here, role, database_url=away, realtime_api_key="name:secret")
    assert (ok, detail.partition(":")[0]) == (False, "the ledger cannot be asked")


def test_a_worker_that_beats_but_takes_no_messages_is_not_alive(here: World) -> None:
    worker = here.start("celery", "-A", "tasks", "worker", "--hostname", NODE, ready="ready.")
    until(lambda: _says(here, Role.WORKER)[0], 30, lambda: str(_says(here, Role.WORKER)))
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        assert _says(here, Role.WORKER) == (False, f"{NODE} does not answer a ping: it takes no messages")
    finally:
        os.kill(worker.pid, signal.SIGCONT)


def test_beat_proves_itself_by_its_ticks(here: World) -> None:
    here.start_beat()
    until(lambda: _says(here, Role.BEAT)[0], 30)


def test_the_api_proves_itself_by_an_answer(here: World) -> None:
    with serving(create_app(here.settings)) as client:
        assert _says(here, Role.API, api_port=client.base_url.port)[0]


@pytest.mark.parametrize(
    ("arguments", "role", "code", "told"),
    [
        (("postgres",), "beat", 2, "worker, beat, listener, api, flower"),
        ((), "beat", 1, "FAIL beat: no beat of this machine was ever seen"),
    ],
)
def test_the_command_tells_by_its_exit_code(
    here: World, arguments: tuple[str, ...], role: str, code: int, told: str
) -> None:
    environment = os.environ | here.environment | {"REBALANCER_ROLE": role}
    command = [sys.executable, "-m", "rebalancer.liveness", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert told in done.stdout + done.stderr
