"""The management API on a real socket, over a real PostgreSQL and Redis."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from redis import Redis

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from tests.conftest import ROOT
from tests.serving import serving

KEY = "a-key-for-the-tests-of-this"
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def app_settings(ledger: Ledger, redis_server: RunningServer) -> Settings:
    Redis.from_url(redis_server.url).flushall()
    return Settings.from_flat(
        {
            "database_url": ledger.url,
            "redis_url": redis_server.url,
            "management_api_key": KEY,
            "accounts_file": ROOT / "accounts.yaml",
            "replacement_sets_file": ROOT / "replacement-sets.yaml",
            "api_writes_per_minute": 100_000,
            "api_wrong_keys_per_minute": 100_000,
        }
    )


@pytest.fixture
def stranger(app_settings: Settings) -> Iterator[httpx.Client]:
    """Somebody without a key, on this machine."""
    with serving(create_app(app_settings)) as client:
        yield client


@pytest.fixture
def client(app_settings: Settings) -> Iterator[httpx.Client]:
    """The same where reading is open on this machine."""
    with serving(create_app(app_settings.changed(api_reads_private=False))) as client:
        yield client
