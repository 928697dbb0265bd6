"""Everything that a run needs, for real: gateway and allocations served here, Celery's processes started beside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from rebalancer.config.settings import Settings
from rebalancer.domain.commands import Command
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.queries.event_search import EventView
from rebalancer.ledger.queries.run_report import RunReport, run_report
from rebalancer.ledger.session import Ledger
from rebalancer.operations.requests import request
from rebalancer.services import Services
from sandbox.allocations.server import AllocationsServer
from sandbox.gateway.behaviour import Behaviour
from tests.conftest import ROOT
from tests.integration.ibkr.serving import ServedGateway
from tests.programs import Started, completed

DEFAULT_SCENARIO: dict[str, Any] = yaml.safe_load((ROOT / "sandbox/scenarios/default.yaml").read_text())
KEY = "key-of-the-tests"
STRANGER = "DU1999999"
LONGEST_PAUSE_S = 0.15


class World:
    """A gateway, an allocations API, a ledger, a Redis, and the Celery processes that a test starts."""

    def __init__(
        self, folder: Path, ledger: Ledger, redis_url: str, gateway: ServedGateway, allocations: AllocationsServer
    ) -> None:
        self.folder = folder
        self.ledger = ledger
        self.gateway = gateway
        self.allocations = allocations
        self.environment = {
            "ENV_FILE": os.devnull,
            "DATABASE_URL": ledger.url,
            "REDIS_URL": redis_url,
            "IB_HOST": "127.0.0.1",
            "IB_PORT": str(gateway.port),
            "ALLOCATIONS_BASE_URL": allocations.url,
            "ALLOCATIONS_API_KEY": "sandbox",
            "MANAGEMENT_API_KEY": KEY,
            "ACCOUNTS_FILE": str(_accounts_file(folder)),
            "REPLACEMENT_SETS_FILE": str(ROOT / "replacement-sets.yaml"),
            "RETRY_DELAY_S": "1",
            "LEASE_S": "6",
            "WORKER_CONCURRENCY": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self._processes: list[Started] = []

    @property
    def settings(self) -> Settings:
        """Settings as the processes have them."""
        return Settings.of_environment(self.environment)

    def submit(self, account: str, command: Command) -> UUID:
        """Ask for a command, as the command line does."""
        services = Services.of(self.settings)
        return request(services.dispatcher, services.accounts().get(account), command, {}, "cli").event_id

    def event(self, event_id: UUID) -> EventView:
        """The event as it is now."""
        with self.ledger.begin() as session:
            found = event_search.event(session, event_id)
        assert found is not None
        return found

    def report(self, event_id: UUID) -> RunReport:
        """The event's newest attempt."""
        with self.ledger.begin() as session:
            found = run_report(session, event_id)
        assert found is not None
        return found

    def finish(self, event_id: UUID, deadline_s: float = 60) -> RunReport:
        """Wait until the event has succeeded."""
        until(lambda: self.event(event_id).state == "succeeded", deadline_s, lambda: str(self.event(event_id)))
        return self.report(event_id)

    def start(self, *arguments: str, ready: str = "", **environment: str) -> Started:
        """Start a Python module with the world's environment; returns once its log says ``ready``."""
        log = self.folder / f"{arguments[-1].strip('-')}-{len(self._processes)}.log"
        process = Started(("-m", *arguments), os.environ | self.environment | environment, output=log)
        self._processes.append(process)
        if ready:
            until(lambda: ready in log.read_text(errors="replace"), 60, lambda: log.read_text(errors="replace")[-4000:])
        return process

    def start_worker(self, **environment: str) -> Started:
        """A Celery worker that takes messages."""
        name = f"w{len(self._processes)}@test"
        return self.start("celery", "-A", "tasks", "worker", "--hostname", name, ready="ready.", **environment)

    def start_beat(self) -> Started:
        """The dispatcher."""
        schedule = str(self.folder / "beat")
        return self.start("celery", "-A", "tasks", "beat", "-S", "tasks.beat:LedgerScheduler", "-s", schedule)

    def celery(self, *arguments: str) -> str:
        """Output of a `celery -A tasks ...` command."""
        done = completed(("-m", "celery", "-A", "tasks", *arguments), os.environ | self.environment)
        return done.stdout + done.stderr

    def logs(self) -> str:
        """What all processes have said."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def end(self) -> None:
        """End what is still running."""
        for process in self._processes:
            process.kill()


def _accounts_file(folder: Path) -> Path:
    """The shipped accounts, and one that the gateway's login does not manage."""
    path = folder / "accounts.yaml"
    stranger = f"  - account_id: {STRANGER}\n    type: paper\n    strategy_name: etf-blend-301-20\n"
    path.write_text((ROOT / "accounts.yaml").read_text().rstrip() + "\n" + stranger)
    return path


def kill(process: Started) -> None:
    """End a process and all its children as a power cut would."""
    process.kill()


def until(condition: Callable[[], bool], deadline_s: float = 30, describe: Callable[[], str] = str) -> None:
    """Wait for something that another process brings about: what takes long is looked at less often."""
    end, pause_s = time.monotonic() + deadline_s, 0.01
    while not condition():
        assert time.monotonic() < end, f"did not happen within {deadline_s} s: {describe()}"
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, LONGEST_PAUSE_S)


@contextmanager
def world(
    folder: Path, ledger: Ledger, redis_url: str, behaviour: Behaviour | None = None, **scenario: Any
) -> Iterator[World]:
    """A world around the default scenario; keyword arguments replace its parts."""
    served = ServedGateway({**DEFAULT_SCENARIO, **scenario}, behaviour)
    try:
        with AllocationsServer() as allocations:
            made = World(folder, ledger, redis_url, served, allocations)
            try:
                yield made
            finally:
                made.end()
    finally:
        served.stop()


def held(world: World, account: str) -> Mapping[str, Any]:
    """Positions at the gateway."""
    return world.gateway.do(lambda gateway: gateway.positions(account))
