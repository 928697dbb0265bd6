"""supervisord as a child in its own session: its configuration, and talking to it over its Unix socket."""

from __future__ import annotations

import http.client
import importlib.util
import os
import shlex
import socket
import subprocess
import sys
import xmlrpc.client
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol
from xml.parsers.expat import ExpatError

from rebalancer.domain.errors import ConfigurationError
from rebalancer.runner.binaries import INSTALL
from rebalancer.runner.failure import StartFailed
from rebalancer.runner.folder import Folder
from rebalancer.runner.neighbours import DISPATCHER
from rebalancer.runner.programs import Group, Program
from rebalancer.runner.secrets import write_private

LOG_BYTES = "10MB"
LOG_BACKUPS = 5
PRIVATE = 0o077
NEVER_GIVE_UP = 1_000_000  # retries; the pause before each grows by a second
UP = frozenset({"STARTING", "RUNNING"})
GONE = frozenset({"STOPPED", "EXITED", "FATAL"})
PATIENCE_S = 10.0
FAULT_SHUTDOWN_STATE = 6  # both as in supervisor.xmlrpc.Faults
FAULT_NOT_RUNNING = 70
PLAIN = ("supervisor.supervisord",)
FORKING = ("rebalancer.runner.forking", DISPATCHER)
ONE_HEAP = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072"}  # as in the Dockerfile


@dataclass(frozen=True, slots=True)
class ProgramState:
    """What supervisord knows of a program.

    Attributes:
        state: STOPPED, STARTING, RUNNING, BACKOFF (ended at once, waits to be started again), STOPPING, EXITED, FATAL.
        pid: None when it is not running.
        started_at: Unix time of its last start, 0 for none.
    """

    name: str
    group: Group
    state: str
    pid: int | None
    started_at: int
    description: str


class ShuttingDown(Exception):
    """supervisord is already stopping everything by itself."""


class Supervisor:
    """The supervisord of one data folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pid(self) -> int | None:
        """None when none answers; what is left of a killed one's socket answers nothing."""
        try:
            return int(self._call("getPID"))
        except (ShuttingDown, OSError):
            return None

    def programs(self) -> tuple[ProgramState, ...]:
        """All of them, in the order of starting.

        Raises:
            ShuttingDown: see there.
            OSError: no supervisord answers.
        """
        return tuple(_program_state(info) for info in self._call("getAllProcessInfo"))

    def start(self, program: Program) -> None:
        """Start it without waiting.

        Raises:
            StartFailed: its command cannot be executed.
        """
        try:
            self._call("startProcess", f"{program.group}:{program.name}", False)
        except xmlrpc.client.Fault as fault:
            raise StartFailed(program.name, fault.faultString, None, "install it, or correct its command") from fault

    def stop(self, state: ProgramState) -> None:
        """Ask it to stop without waiting; it is killed when its time is up."""
        try:
            self._call("stopProcess", f"{state.group}:{state.name}", False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != FAULT_NOT_RUNNING:  # it may end by itself meanwhile
                raise

    def shutdown(self) -> None:
        """Ask supervisord to stop whatever still runs, last group first, and end."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: object) -> Any:
        transport = _UnixTransport(self._path)
        try:
            server = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
            return getattr(server.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == FAULT_SHUTDOWN_STATE:
                raise ShuttingDown from fault
            raise
        except (http.client.HTTPException, xmlrpc.client.ResponseError, ExpatError) as broken:  # killed amid its answer
            raise ConnectionError(f"supervisord broke off: {broken!r}") from broken
        finally:
            transport.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(PATIENCE_S)
            self.sock.connect(str(self._path))
        except OSError:
            self.close()
            raise


class _UnixTransport(xmlrpc.client.Transport):
    """Ours instead of supervisor's own: it does not wait for ever, and `rebalancer ps` needs nothing installed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = host, connection  # what close() closes
        return connection


class Child(Protocol):
    """A process of ours, as :class:`subprocess.Popen` has it."""

    def poll(self) -> int | None:
        """How it ended."""

    def wait(self) -> int:
        """Until it has ended."""

    def terminate(self) -> None:
        """Ask it to end."""


Begin = Callable[[Sequence[str], Mapping[str, str], Path], Child]
"""Starts supervisord: command line, environment, the file that its output is added to."""


def begin_process(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    """In a session of its own, so that a Ctrl-C at our terminal reaches nobody but us. Its programs inherit the umask:
    supervisord heeds the one of its configuration only as a daemon.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own command line
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=PRIVATE,
            env=environment,
        )


def launch(
    folder: Folder, programs: Sequence[Program], environment: Mapping[str, str], begin: Begin = begin_process
) -> Child:
    """Start supervisord with every program stopped. Secrets travel in its environment, which its programs inherit, and
    stand in no file.
    """
    if importlib.util.find_spec("supervisor") is None:
        raise ConfigurationError([f"supervisor is not installed: run {INSTALL}"])
    path = folder.make_supervisor_socket()
    write_private(folder.supervisor_config, configuration(folder, path, programs))
    argv = (sys.executable, "-m", *_supervisor(programs), "-c", str(folder.supervisor_config))
    return begin(argv, {**ONE_HEAP, **os.environ, **environment}, folder.log("supervisord"))


def _supervisor(programs: Iterable[Program]) -> tuple[str, ...]:
    """The one that forks takes a while to load what only our own programs have in common; macOS wants no fork to live
    on.
    """
    modules = any(one.argv[:2] == (sys.executable, "-m") for one in programs)
    return FORKING if modules and sys.platform == "linux" else PLAIN


def configuration(folder: Folder, path: Path, programs: Iterable[Program]) -> str:
    """supervisord's configuration. Programs of a group are stopped together, groups one after the other."""
    if "%" in str(folder.root):  # it expands the names of log files twice, so that no escape survives
        raise ConfigurationError([f"supervisord cannot log to {folder.root}: choose a folder without % in its path"])
    ranked = sorted(programs, key=_rank)
    sections = [
        _section("unix_http_server", {"file": str(path), "chmod": "0700"}),
        _section("rpcinterface:supervisor", {"supervisor.rpcinterface_factory": RPC_FACTORY}),
        _section("supervisord", _supervisord(folder)),
        *(_group_section(group, list(members)) for group, members in groupby(ranked, lambda one: one.group)),
        *(_section(f"program:{one.name}", _program(folder, one)) for one in ranked),
    ]
    return "\n".join(sections)


RPC_FACTORY = "supervisor.rpcinterface:make_main_rpcinterface"


def _supervisord(folder: Folder) -> dict[str, str]:
    options = {
        "nodaemon": "true",
        "silent": "true",
        "logfile": str(folder.log("supervisord")),
        "logfile_maxbytes": LOG_BYTES,
        "logfile_backups": str(LOG_BACKUPS),
        "pidfile": str(folder.supervisor_pid),
        "childlogdir": str(folder.logs),
    }
    return options | ({"user": "root"} if os.geteuid() == 0 else {})


def _group_section(group: Group, members: Sequence[Program]) -> str:
    priority = 10 * (1 + list(Group).index(group))
    return _section(f"group:{group}", {"programs": ",".join(one.name for one in members), "priority": str(priority)})


def _program(folder: Folder, program: Program) -> dict[str, str]:
    options = {
        "command": shlex.join(program.argv),
        "directory": str(program.directory or Path.cwd()),
        "autostart": "false",  # we start in stages
        "autorestart": "true",
        "startsecs": "1",
        "startretries": str(NEVER_GIVE_UP),
        "stopsignal": program.stop_signal,
        "stopwaitsecs": str(program.stop_wait_s),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(folder.log(program.name)),
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": str(LOG_BACKUPS),
    }
    if program.environment:
        options["environment"] = ",".join(f"{name}={_quoted(text)}" for name, text in program.environment.items())
    return options | ({"user": program.user} if program.user else {})


def _section(name: str, options: Mapping[str, str]) -> str:
    return "\n".join([f"[{name}]", *(f"{option}={_literal(text)}" for option, text in options.items()), ""])


def _literal(text: str) -> str:
    """supervisord expands %(…)s everywhere, and a blank followed by ; or # begins a comment even inside quotes."""
    if "\n" in text or " ;" in text or " #" in text:
        raise ConfigurationError([f"supervisord cannot express {text!r}: choose a folder without such characters"])
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    if '"' in text or "\\" in text:
        raise ConfigurationError([f"supervisord cannot express {text!r} in a program's environment"])
    return f'"{text}"'


def _rank(program: Program) -> int:
    return list(Group).index(program.group)


def _program_state(info: Mapping[str, Any]) -> ProgramState:
    return ProgramState(
        name=info["name"],
        group=Group(info["group"]),
        state=info["statename"],
        pid=info["pid"] or None,
        started_at=info["start"],
        description=info["description"],
    )
