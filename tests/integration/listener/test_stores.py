"""PostgreSQL or Redis away: signals wait, or are recorded all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer, running_postgres, running_redis
from tests.integration.listener.harness import REBALANCE, Here, Play, playing
from tests.tools.clusters import migrate


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One to restart at will."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        migrate(server.url)
        yield server


def test_messages_wait_in_order_for_postgres(
    own_postgres: RunningServer, redis_server: RunningServer, tmp_path: Path
) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            ids = here.publish(REBALANCE)
            await here.recorded(*ids)
            await asyncio.to_thread(own_postgres.kill)
            for _ in range(5):
                ids += here.publish(*[{"exec": "print-equity"}] * 10)
                here.server.drop()
                await asyncio.sleep(0.1)  # longer than one try
            await asyncio.to_thread(own_postgres.start)
            await here.recorded(*ids)
            assert here.ids() == ids
            assert {row.requested_generation for row in here.events()} == {1, 50}

    ledger = Ledger(own_postgres.url)
    with playing(ledger, redis_server.url, tmp_path) as play:
        play(scenario)
    ledger.close()


def test_a_listener_that_starts_before_postgres_waits_for_it(
    own_postgres: RunningServer, redis_server: RunningServer, tmp_path: Path
) -> None:
    async def scenario(here: Here) -> None:
        own_postgres.stop()
        async with here.listening(wait=False):
            await asyncio.sleep(0.3)
            assert here.server.log.count("attach") == 0
            await asyncio.to_thread(own_postgres.start)
            await here.until(here.hears)
            await here.recorded(*here.publish(REBALANCE))

    ledger = Ledger(own_postgres.url)
    with playing(ledger, redis_server.url, tmp_path) as play:
        play(scenario)
    ledger.close()


def test_redis_that_is_away_costs_the_record_nothing(ledger: Ledger, tmp_path: Path) -> None:
    with running_redis(tmp_path / "redis") as own_redis:
        own_redis.stop()

        async def scenario(here: Here) -> None:
            async with here.listening():
                started = time.monotonic()
                await here.recorded(*here.publish(*[REBALANCE] * 5))
                assert time.monotonic() - started < 2
                own_redis.start()
                await here.recorded(*here.publish({"exec": "print-equity"}))
                with Redis.from_url(own_redis.url) as client:
                    await here.until(lambda: client.llen("report"))

        with playing(ledger, own_redis.url, tmp_path) as play:
            play(scenario)


def test_redis_that_hangs_costs_the_record_nothing(play: Play, redis_server: RunningServer) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            with Redis.from_url(redis_server.url) as client:
                client.execute_command("CLIENT", "PAUSE", "3000", "ALL")
            started = time.monotonic()
            await here.recorded(*here.publish(REBALANCE))
            await here.recorded(*here.publish(REBALANCE))
            assert time.monotonic() - started < 2

    play(scenario)
