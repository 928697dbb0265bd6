"""What the whole application costs while nothing happens: memory and processor time, by program.

`python -m bench.idle [SECONDS] [PROCESSES]` starts the sandbox's stack in a folder of its own with a worker of so many
processes, has every account planned without orders once, so that all code that this needs is loaded, waits until all is
calm, looks on, prints a table and writes build/idle.json. Memory is the proportional set size: a page that several
processes share counts once. The simulated outside world is not in the sums.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Table

from rebalancer.config.settings import Settings
from rebalancer.domain.commands import Command
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.session import Ledger
from rebalancer.operations.requests import request
from rebalancer.runner.stack import Stack, StackOptions
from rebalancer.services import Services
from sandbox.endurance.census import Cost, costs
from tests.conftest import ROOT
from tests.world import until

CALM_S = 45.0
LIMIT_MIB = 600.0
LIMIT_CORE = 0.02
PROCESSES = 7
REPORT = Path("build/idle.json")


def main(seconds: float, processes: int) -> int:
    """Measure, print and write; 1 when it is more than allowed."""
    files = {"ACCOUNTS_FILE": "accounts.yaml", "REPLACEMENT_SETS_FILE": "replacement-sets.yaml"}
    environment = {name: str(ROOT / file) for name, file in files.items()} | {"WORKER_CONCURRENCY": str(processes)}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # PostgreSQL may have a user of its own
        with Stack(StackOptions(Path(folder) / "stack", sandbox=True, environment=environment)) as stack:
            _plan_all(stack.site.environment)
            time.sleep(CALM_S)
            before, began = costs(stack), time.monotonic()
            time.sleep(seconds)
            after, elapsed = costs(stack), time.monotonic() - began
    cores = {name: (after[name].cpu_s - before[name].cpu_s) / elapsed for name in after}
    _show(after, cores)
    _write(after, cores)
    return int(sum(one.pss for one in after.values()) > LIMIT_MIB or sum(cores.values()) > LIMIT_CORE)


def _plan_all(environment: Mapping[str, str]) -> None:
    """A dry run of every account."""
    services = Services.of(Settings.of_environment(environment))
    asked = [
        request(services.dispatcher, account, Command.PRINT_REBALANCE, {}, "cli").event_id
        for account in services.accounts()
    ]
    until(lambda: all(_succeeded(services.ledger, event_id) for event_id in asked), 120)
    services.ledger.close()


def _succeeded(ledger: Ledger, event_id: UUID) -> bool:
    with ledger.begin() as session:
        found = event_search.event(session, event_id)
    return found is not None and found.state == "succeeded"


def _show(costs: Mapping[str, Cost], cores: Mapping[str, float]) -> None:
    table = Table("program", title=f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for heading in ("processes", "PSS MiB", "private MiB", "% of a core"):
        table.add_column(heading, justify="right")
    for name, one in sorted(costs.items()):
        private = f"{min(one.private):.1f} - {max(one.private):.1f}" if one.processes > 1 else f"{one.private[0]:.1f}"
        table.add_row(name, str(one.processes), f"{one.pss:.1f}", private, f"{100 * cores[name]:.2f}")
    memory = sum(one.pss for one in costs.values())
    table.add_section()
    processes = sum(one.processes for one in costs.values())
    table.add_row("all", str(processes), f"{memory:.1f}", "", f"{100 * sum(cores.values()):.2f}")
    Console().print(table)


def _write(costs: Mapping[str, Cost], cores: Mapping[str, float]) -> None:
    REPORT.parent.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    programs = {name: asdict(one) | {"core": round(cores[name], 5)} for name, one in costs.items()}
    REPORT.write_text(json.dumps({"machine": machine, "programs": programs}, indent=2) + "\n")


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*given, *(60, PROCESSES)[len(given) :]))
