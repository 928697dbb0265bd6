"""Real servers for the tests that need them: one PostgreSQL and one Redis per session, emptied for each test."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from sqlalchemy import TextClause, text

from rebalancer.ledger.session import Ledger
from rebalancer.runner.ports import release
from rebalancer.runner.servers import RunningServer, running_postgres, running_redis
from sandbox.forked import server as forkserver
from tests.tools import clusters, worker_forks

ROOT = Path(__file__).parent.parent

# Nothing of what is loaded until the tests begin is garbage.
gc.disable()

# A client reads every certificate authority there is, which takes longer than most tests do; none needs one.
AUTHORITIES = os.environ.get("SSL_CERT_FILE")
os.environ["SSL_CERT_FILE"] = str(ROOT / "tests/data/nobodys_authority.pem")

# Nobody computes with numpy, which eventkit loads: its threads would only wait.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# Consoles take their width when they are made, at the import of the command line: no line of theirs is folded.
os.environ["COLUMNS"] = "250"

# No test may come near a stack that a developer runs from here.
os.environ["REBALANCER_DATA"] = os.devnull

# A job in a shell's background ignores Ctrl-C, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis_settings.register_profile("ours", deadline=None, print_blob=True)
hypothesis_settings.register_profile(
    # For what is measured: the same cases each time, and a failure is enough, it need not be the smallest.
    "repeatable",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=10,
    phases=(Phase.explicit, Phase.generate),
)
hypothesis_settings.load_profile("ours")


FORKS = "forks_at"
"""In what xdist tells its processes."""
COLLECTED_AFTER = (10_000, 20, 50)
"""Python's own figures are for processes of a tenth of the size."""
LONGEST = (
    "e2e/test_documents_typed.py",
    "e2e/test_second_terminal.py",
    "e2e/test_demo.py",
    "pages/test_every_page.py",
    "integration/worker/test_whatever_holds.py",
    "integration/worker/test_stores_away.py",
    "pages/test_pages.py",
    "integration/state_machine/test_life_of_events.py",
    "integration/survival/test_ledger_away.py",
    "integration/survival/test_combinations.py",
    "integration/survival/test_two_installations.py",
    "integration/survival/test_crashes.py",
    "integration/listener/test_faults.py",
    "integration/test_runner_stack.py",
    "integration/test_chaos_ending.py",
    "integration/worker/test_control_commands.py",
    "integration/survival/test_statements.py",
    "integration/test_chaos.py",
    "integration/test_burst.py",
    "integration/test_fuzzing.py",
    "integration/notify/test_order.py",
    "integration/worker/test_beat.py",
    "integration/strategies/test_canary.py",
    "integration/worker/test_healing.py",
    "unit/test_secrets.py",
)
"""Modules of half a minute and more, the longest first."""
SLOW = ("integration/worker", "integration/survival", "pages", "integration/listener", "integration/strategies")
"""Folders whose tests take seconds: what comes after them takes hundredths of one, and ends everywhere at once."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """They are forks themselves, of one that has loaded the tests, where a fork may go on as it likes."""
    if sys.platform == "linux":
        forkserver.begin()
        forking = ExitStack()
        config.add_cleanup(forking.close)
        command = forking.enter_context(worker_forks.forking(config.invocation_params.args))
        for spec in specs:
            spec.python = command
        if config.args_source is config.ArgsSource.TESTPATHS:
            clusters.begin(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Processes that share the tests share what forks our programs as well."""
    node.workerinput[FORKS] = forkserver.begin()


def pytest_configure(config: pytest.Config) -> None:
    """See :func:`pytest_configure_node`."""
    if address := getattr(config, "workerinput", {}).get(FORKS):
        forkserver.share(address)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, no process begins what takes long when the others are done."""
    if processes := getattr(config, "workerinput", {}).get("workercount"):
        items[:] = dealt_out(items, processes)


def dealt_out(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """In as many parts of equal length as xdist gives out at first, each of which begins with its share of the long
    modules.
    """
    by_module: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        by_module[item.path.relative_to(ROOT / "tests").as_posix()].append(item)
    slow = [name for folder in SLOW for name in by_module if name.startswith(folder) and name not in LONGEST]
    long = [by_module.pop(name) for name in (*LONGEST, *slow) if name in by_module]
    short = deque(chain.from_iterable(by_module.values()))
    dealt: list[pytest.Item] = []
    for process in range(processes):
        size = (len(items) - len(dealt)) // (processes - process)
        part = list(chain.from_iterable(long[process::processes]))
        part += [short.popleft() for _ in range(min(size - len(part), len(short)))]
        dealt += part
    return [*dealt, *short]


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(*COLLECTED_AFTER)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was left out is the last thing that is said."""
    reasons = Counter(str(report.longrepr[-1]) for report in terminalreporter.stats.get("skipped", ()))
    if reasons:
        terminalreporter.section("NOT TESTED", red=True, bold=True)
    for reason, number in reasons.items():
        terminalreporter.write_line(f"{number} skipped: {reason.removeprefix('Skipped: ')}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where nobody reads that, what was left out has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def plain_logging() -> Iterator[None]:
    """What a test configures for its process (the API does at start) is undone for the next."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def ports_given_back() -> Iterator[None]:
    """A runner holds the ports that it has chosen until its process ends, which here are hundreds."""
    yield
    release(Path("/"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A PostgreSQL with the newest schema."""
    from sandbox.forked.ledgers import copy_ledger  # noqa: PLC0415 - loads what all programs of ours need

    own = tmp_path_factory.getbasetemp()
    folder = tmp_path_factory.mktemp("postgres") / "own"
    copy_ledger(clusters.made_once(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own), folder)
    with running_postgres(folder) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A Redis as the product configures it."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def ledger(postgres: RunningServer) -> Ledger:
    """An empty ledger; the next test finds its connections, and what PostgreSQL has learned over them."""
    ledger = Ledger(postgres.url)
    empty(ledger)
    return ledger


FEW_BYTES = 262_144


def empty(ledger: Ledger) -> None:
    """Delete all rows; numbers begin anew.

    What TRUNCATE does, which makes each table and index a new file; where there are few rows, a tenth of the work.
    """
    size, emptying, truncating = _emptying()
    with ledger.begin() as session:
        few = session.scalar(size) <= FEW_BYTES
        session.execute(emptying if few else truncating)


@cache
def _emptying() -> tuple[TextClause, TextClause, TextClause]:
    """What asks for the size of the largest table in bytes, and the two ways to empty all."""
    from rebalancer.ledger.models import Base  # noqa: PLC0415 - as above

    tables = list(Base.metadata.tables)
    size = f"SELECT max(pg_relation_size(one)) FROM unnest(CAST(ARRAY{tables} AS regclass[])) one"  # noqa: S608 - of ours
    whole = ", ".join(tables)
    emptying = (
        f"LOCK TABLE {whole} IN ACCESS EXCLUSIVE MODE",
        "SET LOCAL session_replication_role = replica",  # in any order, whatever refers to whatever
        *(f"DELETE FROM {table}" for table in tables),  # noqa: S608 - likewise
        "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL",
    )
    return text(size), text("; ".join(emptying)), text(f"TRUNCATE {whole} RESTART IDENTITY")
