"""A whole stack as real processes: started in stages, supervised, stopped, recovered; with programs of our own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rebalancer.config.running_stack import CHOICE, running_in
from rebalancer.config.settings import resolve
from rebalancer.domain.errors import ConfigurationError, NothingRuns
from rebalancer.runner.cli import run, stage_printer
from rebalancer.runner.failure import StartFailed
from rebalancer.runner.folder import folder_at
from rebalancer.runner.neighbours import DISPATCHER
from rebalancer.runner.ports import stable_port
from rebalancer.runner.probes import tcp_accepts
from rebalancer.runner.processes import recorded_pid
from rebalancer.runner.programs import Group, Program, Site
from rebalancer.runner.stack import Stack, StackOptions
from rebalancer.runner.stopping import MARK, stop_everything
from rebalancer.runner.supervision import ProgramState, Supervisor
from rebalancer.runner.waiting import Interrupted, wait_until

DEADLINE_S = 20
LISTENER = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""
FINISHER = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def finish(*_):
    time.sleep(0.5)
    (folder / "redis-url").unlink()  # the next one is ready when it has written its own
    (folder / "finished").touch()
    sys.exit()
signal.signal(signal.SIGTERM, finish)
(folder / "redis-url.new").write_text(os.environ["REDIS_URL"])
(folder / "redis-url.new").replace(folder / "redis-url")
while True:
    signal.pause()
"""
ELSEWHERE = {
    "DATABASE_URL": "postgresql+psycopg2://elsewhere/x?sslmode=verify-full",
    "REDIS_URL": "rediss://elsewhere:1/0?ssl_cert_reqs=required",
}
NOTHING: Mapping[str, str] = {}
Stages = list[tuple[str, str]]


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def data() -> Iterator[Path]:
    """Not below tmp_path: as root, PostgreSQL's user has to pass through, and each pytest session closes that way."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "my data; (x)"


def small_programs(site: Site) -> tuple[Program, ...]:
    """One that is ready when it listens, one that needs time to stop."""
    root, port = site.folder.root, stable_port(site.folder.ports / "listener")
    for name, text in (("listener.py", LISTENER), ("finisher.py", FINISHER)):
        (root / name).write_text(text)
    return (
        Program(
            "listener",
            (sys.executable, str(root / "listener.py"), str(port), "100%"),
            Group.SERVICES,
            tcp_accepts("127.0.0.1", port),
        ),
        Program(
            "finisher",
            (sys.executable, str(root / "finisher.py"), str(root)),
            Group.WORKERS,
            (root / "redis-url").exists,
        ),
    )


def options_for(data: Path) -> StackOptions:
    migrate = (sys.executable, "-c", "import os; print('migrating', os.environ['DATABASE_URL'])")
    return StackOptions(data_dir=data, programs=small_programs, migrate=migrate, ready_s=DEADLINE_S)


def without_servers(data: Path) -> StackOptions:
    return replace(options_for(data), environment=ELSEWHERE, migrate=())


@contextmanager
def runner_process(data: Path, given: Mapping[str, str] = NOTHING) -> Iterator[subprocess.Popen[str]]:
    """`rebalancer up` with our programs, in a process of its own, ready."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **given},
    )
    try:
        assert process.stdout is not None
        output = ""
        while "Ctrl-C" not in output:
            line = process.stdout.readline()
            assert line, f"the runner ended: {output}"
            output += line
        yield process
    finally:
        process.kill()
        process.communicate()
        stop_everything(folder_at(data), lambda _stage, _detail: None)


def states(data: Path) -> dict[str, ProgramState]:
    return {one.name: one for one in Supervisor(folder_at(data).supervisor_socket()).programs()}


def all_pids(data: Path) -> set[int]:
    """supervisord and everything below it."""
    supervisord = Supervisor(folder_at(data).supervisor_socket()).pid()
    assert supervisord is not None
    return {supervisord, *(child.pid for child in psutil.Process(supervisord).children(recursive=True))}


def still_running(pids: set[int]) -> set[int]:
    return {pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE}


def eventually(condition: Callable[[], bool]) -> None:
    assert wait_until(condition, DEADLINE_S)


def test_a_stack_starts_in_stages_restarts_the_killed_and_stops_in_reverse(data: Path) -> None:
    stages: Stages = []
    with Stack(options_for(data), lambda stage, detail: stages.append((stage, detail))) as stack:
        started = [stage for stage, _ in stages]
        assert started.index("migrating") > stages.index(("ready", "postgres"))
        assert stages.index(("starting", "listener, finisher")) > started.index("migrating")
        assert stages[-1] == ("ready", "")
        assert "postgresql+psycopg2://" in stack.site.folder.log("migrations").read_text()

        killed = {name: one.pid for name, one in states(data).items() if name in {"redis", "listener"}}
        for pid in killed.values():
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: all(states(data)[name].pid not in {pid, None} for name, pid in killed.items()))
        with redis.Redis.from_url(stack.environment["REDIS_URL"], retry=Retry(NoBackoff(), 0)) as client:
            eventually(lambda: answers(client))
        pids = all_pids(data)
        stages.clear()
    assert still_running(pids) == set()
    assert (data / "finished").exists()
    stopped = [detail for stage, detail in stages if stage == "stopping"]
    assert stopped == ["finisher", "listener", "postgres, redis"]
    assert stages[-1] == ("stopped", "")


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_ctrl_c_stops_everything_however_often_it_is_pressed_and_the_next_start_finds_the_data(data: Path) -> None:
    given = {"DATABASE_URL": ELSEWHERE["DATABASE_URL"]}
    with runner_process(data, given) as runner:
        with redis.Redis.from_url((data / "redis-url").read_text()) as client:
            client.set("kept", "1")
        pids = all_pids(data)
        runner.send_signal(signal.SIGINT)
        eventually(lambda: states(data)["finisher"].state == "STOPPING")
        runner.send_signal(signal.SIGINT)
        output, _ = runner.communicate(timeout=DEADLINE_S)
        assert runner.returncode == 0
        assert "Already stopping" in output
        assert still_running(pids) == set()
        assert (data / "finished").exists()
    with runner_process(data, given) as runner, redis.Redis.from_url((data / "redis-url").read_text()) as client:
        assert client.get("kept") == b"1"
        runner.send_signal(signal.SIGTERM)
        runner.communicate(timeout=DEADLINE_S)
        assert runner.returncode == 0


def test_what_a_killed_runner_or_a_killed_supervisord_leaves_is_stopped_in_order(data: Path) -> None:
    with runner_process(data) as killed:
        pids = all_pids(data)
        killed.kill()
        killed.wait()
        assert still_running(pids) == pids
        with runner_process(data) as runner:
            assert still_running(pids) == set()
            assert (data / "finished").exists()
            (data / "finished").unlink()

            pids = all_pids(data)
            supervisord = Supervisor(folder_at(data).supervisor_socket()).pid()
            assert supervisord is not None
            os.kill(supervisord, signal.SIGKILL)
            output, _ = runner.communicate(timeout=DEADLINE_S)
            assert runner.returncode == 1
            assert "supervisord: was killed" in output
            assert still_running(pids) == set()
            assert (data / "finished").exists()


def test_a_shell_that_names_the_stack_is_no_part_of_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """REBALANCER_DATA once marked a stack's own processes: whoever exported it lost everything in that shell."""
    monkeypatch.setenv(CHOICE, str(data))
    with subprocess.Popen([sys.executable, "-c", LISTENER, "0"]) as program_of_the_shell:
        with Stack(without_servers(data)):
            assert running_in(data) is not None
        stop_everything(folder_at(data), lambda _stage, _detail: None)
        assert program_of_the_shell.poll() is None
        program_of_the_shell.kill()


def test_settings_of_a_running_stack_are_found_until_it_ends(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("WORKER_CONCURRENCY=3\nAPI_PORT=8123\n")
    elsewhere = data.parent / "elsewhere"
    with Stack(without_servers(data)) as stack:
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        monkeypatch.setenv(CHOICE, str(data))
        settings, origin = resolve()
        assert origin.stack is not None
        assert settings.stores.redis_url == stack.environment["REDIS_URL"]
        assert settings.events.worker_concurrency == 3
        assert settings.files.accounts_file == stack_directory(data) / "accounts.yaml"
        assert settings.api.require("management_api_key") == stack.environment["MANAGEMENT_API_KEY"]
    with pytest.raises(NothingRuns, match="rebalancer up --data"):
        resolve()


def stack_directory(data: Path) -> Path:
    """Where the stack was started: the working directory that the fixture chose."""
    configuration = folder_at(data).supervisor_config.read_text()
    return Path(next(line for line in configuration.splitlines() if line.startswith("directory="))[len("directory=") :])


def test_down_from_elsewhere_ends_the_runner_and_a_second_runner_is_refused(data: Path) -> None:
    with runner_process(data, ELSEWHERE) as runner:
        with pytest.raises(ConfigurationError, match=rf"already up \(pid {runner.pid}\).*rebalancer down"):
            Stack(options_for(data)).start()
        pids = all_pids(data)
        stop_everything(folder_at(data), lambda _stage, _detail: None)
        runner.communicate(timeout=DEADLINE_S)
        assert runner.returncode == 0
        assert still_running(pids) == set()


def test_a_program_that_keeps_ending_fails_the_start_with_its_last_lines(data: Path) -> None:
    def programs(_site: Site) -> tuple[Program, ...]:
        return (Program("broken", (sys.executable, "-c", "raise SystemExit('no such setting')"), Group.SERVICES),)

    with pytest.raises(StartFailed, match="broken: keeps ending") as failed:
        Stack(replace(without_servers(data), programs=programs)).start()
    assert "no such setting" in failed.value.log_tail()
    assert carriers(data) == set()


def test_a_program_that_is_not_installed_fails_the_start(data: Path) -> None:
    missing = (Program("missing", ("/nowhere/missing",), Group.SERVICES),)
    with pytest.raises(StartFailed, match="missing: NO_FILE: can't find command '/nowhere/missing'"):
        Stack(replace(without_servers(data), programs=lambda _site: missing)).start()
    assert carriers(data) == set()


@pytest.mark.parametrize("name", ["100%", "a #b"])
def test_a_folder_that_supervisord_cannot_express_is_refused(data: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="choose a folder without"):
        Stack(without_servers(data.with_name(name))).start()


def test_a_failed_migration_stops_what_was_started(data: Path) -> None:
    failing = replace(without_servers(data), migrate=(sys.executable, "-c", "raise SystemExit('no table')"))
    with pytest.raises(StartFailed, match="migrations: ended with 1") as failed:
        Stack(failing).start()
    assert failed.value.log_tail() == "no table"
    assert carriers(data) == set()


def test_a_stop_while_starting_leaves_nothing_running(data: Path) -> None:
    without_postgres = replace(options_for(data), environment={"DATABASE_URL": ELSEWHERE["DATABASE_URL"]})
    stack = Stack(without_postgres, lambda stage, _: stack.request_stop() if stage == "migrating" else None)
    with pytest.raises(Interrupted):
        stack.start()
    assert carriers(data) == set()


def carriers(data: Path) -> set[int]:
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(data):
                found.add(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return still_running(found)


def test_given_servers_are_used_and_none_is_started(data: Path) -> None:
    Path(".env").write_text("".join(f"{name}={url}\n" for name, url in ELSEWHERE.items()))
    with Stack(options_for(data)) as stack:
        assert set(states(data)) == {"listener", "finisher"}
        assert stack.environment.items() >= ELSEWHERE.items()


def test_what_programs_write_is_their_owners_alone(data: Path) -> None:
    """Also what an earlier release's wrote, such as Flower's tasks."""
    data.mkdir(parents=True)
    (old := data / "flower.dat").write_text("tasks")
    old.chmod(0o644)
    with Stack(without_servers(data)):
        written = [data / "redis-url", data / "logs", old]
        assert {path.name: oct(path.stat().st_mode & 0o077) for path in written} == {one.name: "0o0" for one in written}


def test_secrets_are_made_once_and_readable_by_their_owner_only(data: Path) -> None:
    without_postgres = {"DATABASE_URL": ELSEWHERE["DATABASE_URL"]}
    options = replace(options_for(data), programs=lambda _site: (), migrate=(), environment=without_postgres)
    keys = []
    for _ in range(2):
        with Stack(options) as stack:
            keys.append((stack.environment["MANAGEMENT_API_KEY"], (data / "redis/password").read_text()))
    assert keys[0] == keys[1]
    holders = [path for path in data.rglob("*") if path.is_file() and any(key in text_of(path) for key in keys[0])]
    assert {path.name for path in holders} == {"management-api-key", "password", "redis.conf"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in holders)


def test_what_programs_write_is_their_owners_only(data: Path) -> None:
    before = os.umask(0o022)
    try:
        with Stack(without_servers(data)):
            assert (data / "redis-url").stat().st_mode & 0o077 == 0
    finally:
        os.umask(before)


def text_of(path: Path) -> str:
    return path.read_text(errors="replace")


def test_the_sandbox_ignores_the_real_setup_and_keeps_out_of_its_folder(data: Path) -> None:
    Path(".env").write_text("DATABASE_URL=postgresql://real/x\nIB_PORT=4001\nTRADING_MODE=live\n")
    sandboxed = replace(options_for(data), sandbox=True, programs=lambda _site: (), migrate=())
    with Stack(sandboxed) as stack:
        environment = stack.environment
        assert "real" not in environment["DATABASE_URL"]
        assert environment["TRADING_MODE"] == "paper"
        assert environment["IB_PORT"] == str(stack.site.ports["gateway"])
        assert environment["ENV_FILE"] == os.devnull
    with pytest.raises(ConfigurationError, match="belongs to the sandbox"):
        Stack(replace(sandboxed, sandbox=False)).start()


if __name__ == "__main__":
    sys.exit(run(Stack(options_for(Path(sys.argv[1])), stage_printer())))


LOOKS = """
import pathlib, signal, sys
pathlib.Path(sys.argv[1]).write_text(f"{'celery' in sys.modules}\\n")
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each program loads everything by itself")
def test_programs_are_forks_of_one_that_has_loaded_what_they_need(data: Path, tmp_path: Path) -> None:
    script, told = tmp_path / "looks.py", tmp_path / "told"
    script.write_text(LOOKS)

    def programs(_site: Site) -> tuple[Program, ...]:
        module = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "0")
        looks = (sys.executable, str(script), str(told))
        return Program("module", module, Group.SERVICES), Program("looks", looks, Group.SERVICES)

    with Stack(replace(without_servers(data), programs=programs)) as stack:
        assert wait_until(lambda: told.exists() and told.read_text().endswith("\n"), DEADLINE_S)
        supervisor = recorded_pid(folder_at(data).supervisor_pid)
        (pid,) = [one.pid for one in stack.programs() if one.name == "looks"]
        assert pid is not None
        assert told.read_text() == "True\n"
        assert psutil.Process(pid).ppid() == supervisor
        assert DISPATCHER in psutil.Process(pid).cmdline()  # by which other installations know of this one
