"""A ledger and a Redis, emptied, and a player of scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from tests.integration.listener.harness import playing


@pytest.fixture
def play(tmp_path: Path, ledger: Ledger, redis_server: RunningServer) -> Iterator[Callable[..., None]]:
    Redis.from_url(redis_server.url).flushall()
    with playing(ledger, redis_server.url, tmp_path) as player:
        yield player
