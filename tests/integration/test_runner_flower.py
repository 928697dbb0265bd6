"""Flower shows every account's tasks, so it asks who is there; it changes nothing unless a setting lets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from rebalancer.runner.folder import open_folder
from rebalancer.runner.programs import Program, application_programs
from rebalancer.runner.servers import RunningServer
from rebalancer.runner.site import lay_out
from tests.conftest import ROOT
from tests.world import until

CONTROL = (
    "task/send-task/rebalance",
    "task/async-apply/rebalance",
    "task/apply/rebalance",
    "task/revoke/x",
    "task/abort/x",
    "task/timeout/rebalance",
    "task/rate-limit/rebalance",
    "worker/shutdown/w",
    "worker/pool/restart/w",
    "worker/pool/grow/w",
    "worker/pool/shrink/w",
    "worker/pool/autoscale/w",
    "worker/queue/add-consumer/w",
    "worker/queue/cancel-consumer/w",
)


@pytest.fixture
def flower(tmp_path: Path, redis_server: RunningServer) -> tuple[Program, str]:
    """The program as `rebalancer up` starts it, and the address that it prints."""
    folder = open_folder(tmp_path / "data", sandbox=True)
    given = {"REDIS_URL": redis_server.url, "DATABASE_URL": "postgresql+psycopg2://postgres@127.0.0.1:1/x"}
    site = lay_out(folder, given, sandbox=True)
    program = next(one for one in application_programs(site) if one.name == "flower")
    return program, site.addresses["Flower"]


def test_flower_asks_for_the_login_that_up_prints(flower: tuple[Program, str], redis_server: RunningServer) -> None:
    program, address = flower
    environment = os.environ | {"ENV_FILE": os.devnull, "REDIS_URL": redis_server.url} | dict(program.environment)
    process = subprocess.Popen(program.argv, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        assert program.is_ready is not None
        until(program.is_ready, 60)
        login = httpx.URL(address)
        bare = f"http://{login.host}:{login.port}"
        with httpx.Client(trust_env=False) as client:
            for path in ("workers", "api/tasks", "metrics", "healthcheck", "broker"):
                assert client.get(f"{bare}/{path}").status_code == 401, path
                assert client.get(f"{bare}/{path}", auth=(login.username, "wrong")).status_code == 401, path
            for path in ("metrics", "healthcheck"):
                assert client.get(f"{bare}/{path}", auth=(login.username, login.password)).status_code == 200, path
            assert client.post(f"{bare}/api/task/revoke/x").status_code == 401
            login_of = (login.username, login.password)
            assert client.get(f"{bare}/workers", auth=login_of).status_code == 200
            for path in CONTROL:
                answer = client.post(f"{bare}/api/{path}", auth=login_of, json={"args": ["x"]})
                assert (answer.status_code, "read only" in answer.text.lower()) == (403, True), path
            assert len(login.password) >= 24
    finally:
        process.terminate()
        process.wait(20)


def test_the_password_is_not_among_the_arguments(flower: tuple[Program, str]) -> None:
    program, address = flower
    assert httpx.URL(address).password not in " ".join(program.argv)
    assert sys.executable == program.argv[0]


@pytest.mark.parametrize(("control", "read_only"), [("", "true"), ("true", "")])
def test_a_setting_opens_control(control: str, read_only: str) -> None:
    told = "import os, tasks; print(os.environ.get('FLOWER_READ_ONLY', ''))"
    environment = os.environ | {"ENV_FILE": os.devnull, "FLOWER_CONTROL": control}
    environment.pop("FLOWER_READ_ONLY", None)  # this process may have imported the app
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert done.stdout.decode().strip() == read_only
