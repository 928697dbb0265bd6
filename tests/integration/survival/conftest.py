"""One allocations API for the session; a gateway and an empty ledger per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from rebalancer.ledger.session import Ledger
from sandbox.allocations.server import AllocationsServer
from tests.integration.survival.harness import STRATEGY, WEIGHTS, Bench, bench

MakeBench = Callable[..., AbstractContextManager[Bench]]


@pytest.fixture(scope="session")
def allocations() -> Iterator[AllocationsServer]:
    """The strategy's targets, over HTTP."""
    with AllocationsServer() as server:
        server.publish(STRATEGY, WEIGHTS)
        yield server


@pytest.fixture
def benches(tmp_path: Path, ledger: Ledger, allocations: AllocationsServer) -> MakeBench:
    """Makes benches with scenarios of their own."""
    return partial(bench, tmp_path, ledger, allocations)


@pytest.fixture
def here(benches: MakeBench) -> Iterator[Bench]:
    """A bench around a healthy gateway, whose account knows where it has to end."""
    with benches() as made:
        made.aim()
        yield made
