"""A world to be timed: PostgreSQL and Redis of its own, a simulated gateway, and accounts that follow one strategy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer, running_postgres, running_redis
from tests.tools.clusters import migrate
from tests.world import World, world

STRATEGY = "etf-blend-301-20"
ON_MARGIN: dict[str, Any] = {"margin": True, "cash": 100_000}


@contextmanager
def servers(root: Path) -> Iterator[tuple[RunningServer, RunningServer]]:
    """PostgreSQL with an empty ledger, and Redis."""
    with running_postgres(root / "postgres") as postgres, running_redis(root / "redis") as redis:
        migrate(postgres.url)
        yield postgres, redis


@contextmanager
def followers(
    folder: Path, ledger: Ledger, redis: RunningServer, accounts: Mapping[str, Any], **parts: Any
) -> Iterator[World]:
    """Accounts as the simulated gateway has them, all of which follow :data:`STRATEGY`; ``parts`` of the scenario."""
    with world(folder, ledger, redis.url, accounts=accounts, **parts) as here:
        rows = [{"account_id": name, "type": "paper", "strategy_name": STRATEGY} for name in accounts]
        Path(here.environment["ACCOUNTS_FILE"]).write_text(yaml.safe_dump({"accounts": rows}))
        yield here
