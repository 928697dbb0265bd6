"""A world with one worker whose accounts differ in their rules: each test has its account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from tests.conftest import empty
from tests.world import World, world

RULES = {
    "DU1000001": "approval: manual",
    "DU1000002": "max_order_usd: 40000",
    "DU1000003": "pdt_protection_enabled: true",
    "DU1000004": "approval: notify-then-wait",
    "DU1000005": "hold: [QQQ]",
    "DU1000006": "cooldown_days: 30",
    "DU1000007": "cash_reserve_usd: 25000",
}


@pytest.fixture(scope="module")
def working(
    tmp_path_factory: pytest.TempPathFactory, postgres: RunningServer, redis_server: RunningServer
) -> Iterator[World]:
    """Fills take a moment, so that a person can step in."""
    ledger = Ledger(postgres.url)
    empty(ledger)
    Redis.from_url(redis_server.url).flushall()
    fills = {"mode": "partial", "delay_ms": 200, "interval_ms": 200}
    with world(tmp_path_factory.mktemp("world"), ledger, redis_server.url, fills=fills) as made:
        entries = "".join(
            f"  - {{account_id: {account}, type: paper, strategy_name: etf-blend-301-20, {rule}}}\n"
            for account, rule in RULES.items()
        )
        Path(made.environment["ACCOUNTS_FILE"]).write_text(f"accounts:\n{entries}")
        made.start_worker()
        yield made
    ledger.close()


@pytest.fixture
def services(working: World) -> Services:
    """As the command line has them."""
    return Services.of(working.settings)
