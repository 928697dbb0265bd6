"""The whole application on one machine: started in stages, supervised, stopped in reverse."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from rebalancer.config.running_stack import DEFAULT, MARK
from rebalancer.runner.failure import StartFailed
from rebalancer.runner.folder import Folder, only_runner, open_folder
from rebalancer.runner.neighbours import neighbours
from rebalancer.runner.ports import release
from rebalancer.runner.programs import Group, Program, ProgramList, Site, default_programs, server_program
from rebalancer.runner.secrets import write_private
from rebalancer.runner.site import lay_out
from rebalancer.runner.stopping import Progress, stop_everything
from rebalancer.runner.supervision import (
    UP,
    Begin,
    Child,
    ProgramState,
    ShuttingDown,
    Supervisor,
    begin_process,
    launch,
)
from rebalancer.runner.waiting import Interrupted, wait_until

PROJECT = Path(__file__).parents[2]
MIGRATE = (sys.executable, "-m", "alembic", "-c", str(PROJECT / "alembic.ini"), "upgrade", "head")
SUPERVISORD_S = 30.0
STARTS_ALLOWED = 3  # while starting; PostgreSQL needs a second one after its predecessor was killed


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What to start and where.

    Attributes:
        sandbox: simulate the outside world; ``.env`` is then left out of account.
        environment: for every program; wins over settings. ``DATABASE_URL`` or ``REDIS_URL`` in it, in the process
            environment or in ``.env`` name existing servers, and none is started.
        programs: what runs beside the servers.
        migrate: brings the ledger to its newest form; empty for none.
        ready_s: how long the programs of one stage may take.
        begin: starts supervisord.
    """

    data_dir: Path = DEFAULT
    sandbox: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    programs: ProgramList = default_programs
    migrate: Sequence[str] = MIGRATE
    ready_s: float = 180.0
    begin: Begin = begin_process


def silent(_stage: str, _detail: str) -> None:
    """Progress for nobody."""


class Stack:
    """One stack in one data folder. Up from :meth:`start` or ``with`` to :meth:`stop` or the end of the block.

    Args:
        progress: told each stage (preparing, recovering, starting, migrating, ready, stopping, stopped) and a detail.
    """

    def __init__(self, options: StackOptions, progress: Progress = silent) -> None:
        self._options = options
        self._progress = progress
        self._stop_requested = False
        self._held = ExitStack()
        self._process: Child | None = None
        self._site: Site | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def site(self) -> Site:
        """Folder, ports, addresses and environment of this start."""
        if self._site is None:
            raise RuntimeError("the stack was not started")
        return self._site

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which other programs work with this stack."""
        return {**os.environ, **self.site.environment}

    def start(self) -> None:
        """Return when everything is ready; a failed or interrupted start stops what it started.

        Raises:
            ConfigurationError: something is set wrongly, or the folder is in use.
            StartFailed: a program did not start.
            Interrupted: :meth:`request_stop` was called.
        """
        folder = open_folder(self._options.data_dir, sandbox=self._options.sandbox)
        self._held.enter_context(only_runner(folder))
        self._held.callback(release, folder.root)
        self._held.callback(self._report_stopped)
        self._held.callback(stop_everything, folder, self._progress)
        try:
            stop_everything(folder, self._progress)  # what a killed runner left
            self._progress("preparing", str(folder.root))
            self._name_neighbours(folder)
            self._site = lay_out(folder, self._options.environment, sandbox=self._options.sandbox)
            self._start_programs(self._site)
        except BaseException:
            self.stop()
            raise

    def _name_neighbours(self, folder: Folder) -> None:
        for place in () if self._options.sandbox else neighbours(folder):
            self._progress(
                "preparing",
                f"ANOTHER INSTALLATION RUNS ON THIS MACHINE ({place}): stop one if both trade the same accounts",
            )

    def stop(self) -> None:
        """Stop everything, in reverse order; harmless when nothing runs."""
        self._held.close()

    def kill(self) -> None:
        """End everything as a power cut would; :meth:`stop` then finds nothing to wait for."""
        running = [one.pid for one in self.programs() if one.pid is not None]
        supervisor = self._supervisor().pid()
        for pid in (*([supervisor] if supervisor else []), *running):
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def request_stop(self) -> None:
        """Make a :meth:`start` under way give up; safe in a signal handler."""
        self._stop_requested = True

    def stop_requested(self) -> bool:
        """Whether :meth:`request_stop` was called."""
        return self._stop_requested

    def supervisor_exit(self) -> int | None:
        """None while the stack is supervised; 0 after `rebalancer down` elsewhere; else supervisord was killed."""
        return None if self._process is None else self._process.poll()

    def pause(self, name: str) -> None:
        """Stop one program, and wait until it has ended; its supervisor leaves it alone until :meth:`proceed`."""
        supervisor = self._supervisor()
        for state in supervisor.programs():
            if state.name == name:
                supervisor.stop(state)
        wait_until(lambda: all(one.pid is None for one in self.programs() if one.name == name), self._options.ready_s)

    def proceed(self, name: str) -> None:
        """Start a paused program, without waiting until it is ready."""
        supervisor = self._supervisor()
        for program in self._options.programs(self.site):
            if program.name == name:
                supervisor.start(program)

    def programs(self) -> tuple[ProgramState, ...]:
        """All programs; none while supervisord ends."""
        try:
            return self._supervisor().programs()
        except (ShuttingDown, OSError):
            return ()

    def _start_programs(self, site: Site) -> None:
        programs = (*map(server_program, site.servers), *self._options.programs(site))
        for notice in site.notices:
            self._progress("preparing", notice)
        write_private(site.folder.addresses, json.dumps(dict(site.addresses)))
        environment = {**site.environment, MARK: str(site.folder.root)}
        self._process = launch(site.folder, programs, environment, self._options.begin)
        self._wait_for_supervisord(site, self._process)
        first = [one for one in programs if one.group is Group.SERVERS]
        rest = [one for one in programs if one.group is not Group.SERVERS]
        ours = {server.name for server in site.servers}
        self._begin(first)
        self._await([one for one in first if one.name in ours])
        self._migrate(site)  # meanwhile the others of the first stage get ready
        self._await([one for one in first if one.name not in ours])
        self._begin(rest)
        self._await(rest)
        self._progress("ready", "")

    def _wait_for_supervisord(self, site: Site, supervisord: Child) -> None:
        def answers_or_ended() -> bool:
            return self._supervisor().pid() is not None or self.supervisor_exit() is not None

        try:
            answered = wait_until(answers_or_ended, SUPERVISORD_S, interrupted=self.stop_requested)
        except Interrupted:
            supervisord.terminate()  # nobody can tell it otherwise yet
            raise
        if not answered or self.supervisor_exit() is not None:
            raise StartFailed("supervisord", "did not start", site.folder.log("supervisord"), "see its log")

    def _begin(self, programs: Sequence[Program]) -> None:
        if programs:
            self._progress("starting", ", ".join(one.name for one in programs))
        for one in programs:
            self._supervisor().start(one)

    def _await(self, programs: Sequence[Program]) -> None:
        waiting = _Waiting(self.site, self._supervisor(), programs, self._progress)
        if not wait_until(waiting.over, self._options.ready_s, interrupted=self.stop_requested):
            raise waiting.failure(f"not ready after {self._options.ready_s:g} s")

    def _migrate(self, site: Site) -> None:
        if not self._options.migrate:
            return
        self._progress("migrating", "ledger")
        log = site.folder.log("migrations")
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command line
                self._options.migrate,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self.environment, MARK: str(site.folder.root)},
                start_new_session=True,
            )
        try:
            wait_until(lambda: process.poll() is not None, self._options.ready_s, interrupted=self.stop_requested)
        finally:
            if process.poll() is None:
                process.terminate()  # one transaction: all of it or nothing
            process.wait()
        if process.returncode:
            raise StartFailed("migrations", f"ended with {process.returncode}", log, "see docs/operations.md")

    def _supervisor(self) -> Supervisor:
        return Supervisor(self.site.folder.supervisor_socket())

    def _report_stopped(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._progress("stopped", "")


class _Waiting:
    """The programs of a stage on their way to ready."""

    def __init__(self, site: Site, supervisor: Supervisor, programs: Sequence[Program], progress: Progress) -> None:
        self._site = site
        self._supervisor = supervisor
        self._pending = {one.name: one for one in programs}
        self._progress = progress
        self._starts: dict[str, set[int]] = {one.name: set() for one in programs}

    def over(self) -> bool:
        """Ask each program that is not ready yet.

        Raises:
            StartFailed: one of them keeps ending.
        """
        for state in self._supervisor.programs():
            if (program := self._pending.get(state.name)) is not None:
                self._ask(program, state)
        return not self._pending

    def failure(self, reason: str) -> StartFailed:
        """For the first program that is not ready."""
        name = next(iter(self._pending))
        return StartFailed(name, reason, self._site.folder.log(name), f"see {self._site.folder.log(name)}")

    def _ask(self, program: Program, state: ProgramState) -> None:
        if state.started_at:
            self._starts[program.name].add(state.started_at)
        ready = program.is_ready() if program.is_ready and state.state in UP else state.state == "RUNNING"
        if ready:
            del self._pending[program.name]
            self._progress("ready", program.name)
        elif state.state == "BACKOFF" and len(self._starts[program.name]) >= STARTS_ALLOWED:
            self._pending = {program.name: program}
            raise self.failure(f"keeps ending: {state.description}")
