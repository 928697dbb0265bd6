"""Flower shows every account's tasks and can revoke them, so it asks who is there."""

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
            assert client.get(f"{bare}/workers", auth=(login.username, login.password)).status_code == 200
            assert len(login.password) >= 24
    finally:
        process.terminate()
        process.wait(20)


def test_the_password_is_not_among_the_arguments(flower: tuple[Program, str]) -> None:
    program, address = flower
    assert httpx.URL(address).password not in " ".join(program.argv)
    assert sys.executable == program.argv[0]
