"""A ledger, a Redis and an ntfy server; whoever notifies is started by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from rebalancer.config.settings import Settings
from rebalancer.ledger.session import Ledger
from rebalancer.notifier.service import Notifier, Timing
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from tests.conftest import ROOT
from tests.integration.notify.ntfy import NtfyServer, serving_ntfy

ServicesWith = Callable[..., Services]
Start = Callable[[Services], Notifier]

ACCOUNTS = """accounts:
  - {account_id: DU1000001, type: paper, strategy_name: blend, name: Alice}
  - {account_id: DU1000002, type: paper, strategy_name: blend}
  - {account_id: DU1000003, type: paper, strategy_name: blend, notify: {severity: error}}
"""


@pytest.fixture
def ntfy() -> Iterator[NtfyServer]:
    with serving_ntfy() as server:
        yield server


@pytest.fixture
def services(ledger: Ledger, redis_server: RunningServer, tmp_path: Path, ntfy: NtfyServer) -> ServicesWith:
    """Services with settings of the test's choice."""
    Redis.from_url(redis_server.url).flushall()
    accounts = tmp_path / "accounts.yaml"
    accounts.write_text(ACCOUNTS)

    def make(**settings: Any) -> Services:
        given = {
            "notify_urls": f"phone={ntfy.url}",
            "notify_window_s": 1,
            "notify_digest_at": "off",
            "notify_trouble_after_s": 86_400,
            "database_url": ledger.url,
            "redis_url": redis_server.url,
            "accounts_file": accounts,
            "replacement_sets_file": ROOT / "replacement-sets.yaml",
        }
        return Services.of(Settings.from_flat(given | settings))

    return make


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts notifying, quickly; all is stopped after the test."""
    started: list[Notifier] = []

    def begin(services: Services) -> Notifier:
        notifier = Notifier(services, Timing(0.05, 0.05))
        notifier.start()
        started.append(notifier)
        return notifier

    yield begin
    for one in started:
        one.stop()
