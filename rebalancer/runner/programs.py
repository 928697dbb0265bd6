"""What runs in a stack: one entry per program, in a list made for adjusting."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.loopback import LOOPBACK
from rebalancer.runner.folder import Folder
from rebalancer.runner.probes import Probe, http_answers, tcp_accepts, worker_answers
from rebalancer.runner.server import Server

TASKS = (sys.executable, "-m", "tasks")
WORKER_STOP_S = 900  # a run is given the time to finish: orders may work for minutes


class Group(StrEnum):
    """Programs that stop together. Servers start first; all others start at once when the ledger is migrated.
    Stopping goes from the last group to the first, so that nothing loses what it depends on.
    """

    SERVERS = "servers"
    SERVICES = "services"
    WORKERS = "workers"
    SOURCES = "sources"


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised program.

    Attributes:
        is_ready: None when staying up for a second is all that can be asked of it.
        environment: on top of what all programs share.
        user: system user to run it as; None for ourselves.
        stop_wait_s: after this long it is killed.
        directory: None for the folder in which the stack was started.
    """

    name: str
    argv: tuple[str, ...]
    group: Group
    is_ready: Probe | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: str = "TERM"
    stop_wait_s: int = 30
    directory: Path | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """Where this start of the stack takes place.

    Attributes:
        environment: what every program gets on top of the environment that the stack was started in.
        ports: by program.
        servers: those that the stack runs itself.
        addresses: for people, by name.
        listens: a key for the strategies' channels is set.
        flower_login: name and password that Flower asks for, with a colon between.
        notices: what turned out otherwise than asked for, one sentence each.
        logins: gateways whose accounts are traded, and these; the main one first.
    """

    folder: Folder
    sandbox: bool
    environment: Mapping[str, str]
    ports: Mapping[str, int]
    servers: tuple[Server, ...]
    addresses: Mapping[str, str]
    flower_login: str
    listens: bool = True
    notices: tuple[str, ...] = ()
    logins: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {MAIN_GATEWAY: ()})


def program_of(name: str, gateway: str) -> str:
    """What a gateway's program is called: that of the main one as if there were no other."""
    return name if gateway == MAIN_GATEWAY else f"{name}-{gateway}"


ProgramList = Callable[[Site], tuple[Program, ...]]


def default_programs(site: Site, scenario: Path | None = None) -> tuple[Program, ...]:
    """The whole application, and with it the outside world when that is simulated."""
    return (*(sandbox_programs(site, scenario) if site.sandbox else ()), *application_programs(site))


def sandbox_programs(site: Site, scenario: Path | None = None) -> tuple[Program, ...]:
    """The simulated outside world, known to us as a command line only.

    Args:
        scenario: of broker and statements, in place of their own.
    """
    played = () if scenario is None else ("--scenario", str(scenario.absolute()))

    def program(name: str, command: str, *options: str) -> Program:
        port = site.ports[name]
        argv = (sys.executable, rebalancer_command(), "sandbox", command, "--port", str(port), *options)
        return Program(name, argv, Group.SERVERS, tcp_accepts(LOOPBACK, port))

    def books_of(name: str) -> str:
        return str(site.folder.root / f"{program_of('books', name)}.json")  # they live as long as the ledger

    def gateway(name: str, accounts: tuple[str, ...]) -> Program:
        """With the accounts that the accounts file gives it; where that names no gateway, with all there are."""
        login = ("--login-log", site.environment["GATEWAY_LOG"]) if name == MAIN_GATEWAY else ()
        own = () if site.logins.keys() == {MAIN_GATEWAY} else ("--accounts", ",".join(accounts))
        return program(program_of("gateway", name), "gateway", "--data", books_of(name), *login, *own, *played)

    key = ("--key", site.environment["REALTIME_API_KEY"])
    return (
        *(gateway(*login) for login in site.logins.items()),
        program("allocations", "allocations"),
        program(
            "flex", "flex", "--today", *played, *(part for name in site.logins for part in ("--data", books_of(name)))
        ),
        program("ably", "ably", *key, "--data", str(site.folder.root / "ably.sqlite")),
    )


def application_programs(site: Site) -> tuple[Program, ...]:
    """The rebalancer itself."""
    api, flower = str(site.ports["api"]), str(site.ports["flower"])
    serve = (sys.executable, "-m", "api", "--host", LOOPBACK, "--port", api)
    show = ("flower", f"--address={LOOPBACK}", f"--port={flower}", "--persistent=True", "--state-save-interval=60000")
    workers_do = "--enable-events=False"  # celeryconfig.py has them send events; Flower would ask for that all the time
    columns = "--tasks-columns=name,args,state,received,runtime,uuid,worker,exception"
    return (
        Program(
            "api",
            serve,
            Group.SERVICES,
            http_answers(f"http://{LOOPBACK}:{api}/health"),
        ),
        Program(
            "flower",
            (*TASKS, *show, columns, workers_do, "--purge-offline-workers=60", f"--db={site.folder.root / 'flower'}"),
            Group.SERVICES,
            http_answers(f"http://{LOOPBACK}:{flower}/healthcheck"),
            environment={"FLOWER_BASIC_AUTH": site.flower_login},
        ),
        *(_worker(site, gateway) for gateway in site.logins),
        Program("beat", (*TASKS, "beat", "-S", "tasks.beat:LedgerScheduler"), Group.SOURCES),
        *([Program("listener", (sys.executable, "-m", "listener"), Group.SOURCES)] if site.listens else []),
    )


def _worker(site: Site, gateway: str) -> Program:
    name = program_of("worker", gateway)
    node = f"{name}@{socket.gethostname()}"
    return Program(
        name,
        (*TASKS, "worker", "--hostname", node),
        Group.WORKERS,
        worker_answers(site.environment["REDIS_URL"], node),
        environment={} if gateway == MAIN_GATEWAY else {"WORKER_GATEWAY": gateway},
        stop_wait_s=WORKER_STOP_S,
    )


def server_program(server: Server) -> Program:
    """A server of ours as a supervised program."""
    return Program(
        server.name,
        server.argv,
        Group.SERVERS,
        server.is_ready,
        user=server.user,
        stop_signal=server.stop_signal.name.removeprefix("SIG"),
        stop_wait_s=60,
        directory=Path("/"),
    )


def rebalancer_command() -> str:
    """Our own command line, beside the Python that runs us or on the PATH."""
    beside = Path(sys.executable).with_name("rebalancer")
    found = str(beside) if beside.exists() else shutil.which("rebalancer")
    if found is None:
        raise ConfigurationError(["the command `rebalancer` is not installed: run pip install -e ."])
    return found
