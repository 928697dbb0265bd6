"""Worlds with a real worker: a fresh one per test where something dies, one per module where only accounts differ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from tasks import runtime
from tests.conftest import empty
from tests.integration.ibkr.serving import Script
from tests.world import World, world


@pytest.fixture
def script() -> Script:
    """What the gateway does differently; changeable while it runs."""
    return Script()


@pytest.fixture
def here(tmp_path: Path, ledger: Ledger, redis_server: RunningServer, script: Script) -> Iterator[World]:
    """A world with the default scenario, in which nothing of ours runs yet."""
    Redis.from_url(redis_server.url).flushall()
    with world(tmp_path, ledger, redis_server.url, script) as made:
        yield made


@pytest.fixture
def slow(tmp_path: Path, ledger: Ledger, redis_server: RunningServer, script: Script) -> Iterator[World]:
    """The same, where each order fills in three pieces within a second."""
    Redis.from_url(redis_server.url).flushall()
    fills = {"mode": "partial", "delay_ms": 300, "interval_ms": 300}
    with world(tmp_path, ledger, redis_server.url, script, fills=fills) as made:
        yield made


@pytest.fixture(scope="module")
def shared_script() -> Script:
    """The same for the shared world; tests put back what they change."""
    return Script()


@pytest.fixture(scope="module")
def working(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: RunningServer,
    redis_server: RunningServer,
    shared_script: Script,
) -> Iterator[World]:
    """One world with one worker for all tests of a module: each takes an account of its own."""
    ledger = Ledger(postgres.url)
    empty(ledger)
    Redis.from_url(redis_server.url).flushall()
    with world(tmp_path_factory.mktemp("world"), ledger, redis_server.url, shared_script) as made:
        made.start_worker(QUOTE_TIMEOUT_S="1")
        yield made
    ledger.close()


@contextmanager
def inside_a_worker(folder: Path, ledger: Ledger, redis_url: str, **scenario: Any) -> Iterator[World]:
    """A world whose worker is this process: the real task functions over everything that they use."""
    empty(ledger)
    patch = pytest.MonkeyPatch()
    with world(folder, ledger, redis_url, **scenario) as made:
        for name, text in made.environment.items():
            patch.setenv(name, text)
        runtime._runtime.cache_clear()
        try:
            yield made
        finally:
            runtime.runtime().close()
            runtime._runtime.cache_clear()
            patch.undo()


@pytest.fixture(scope="module")
def inside(
    tmp_path_factory: pytest.TempPathFactory, postgres: RunningServer, redis_server: RunningServer
) -> Iterator[World]:
    """Such a world for all tests of a module."""
    ledger = Ledger(postgres.url)
    with inside_a_worker(tmp_path_factory.mktemp("world"), ledger, redis_server.url) as made:
        yield made
    ledger.close()
