"""A Celery message is only a hint: doubled, lost or late, each effect happens once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import func, select

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import Attempt
from rebalancer.ledger.session import Ledger
from rebalancer.operations.requests import request
from rebalancer.runner.servers import RunningServer, running_postgres, running_redis
from rebalancer.services import Services
from tests.tools.clusters import migrate
from tests.world import World, held, until, world

ACCOUNTS = tuple(f"DU100000{number}" for number in range(1, 8))
SLOW_FILLS = {"mode": "partial", "delay_ms": 300, "interval_ms": 300}


def order_refs(here: World) -> list[str]:
    return here.gateway.do(lambda gateway: [order.ticket.order_ref for order in gateway.orders])


def on_target(here: World, account: str) -> None:
    left = here.finish(here.submit(account, Command.PRINT_REBALANCE)).result
    assert left is not None
    assert left["orders"] == []
    assert len(order_refs(here)) == len(set(order_refs(here)))


def test_every_message_delivered_twice_has_each_effect_once(here: World) -> None:
    event_ids = [here.submit(account, Command.REBALANCE) for account in ACCOUNTS]
    event_ids += [here.submit(account, Command.PRINT_EQUITY) for account in ACCOUNTS]
    with Redis.from_url(here.environment["REDIS_URL"]) as redis:
        for queue in ("live", "report"):
            messages: list[bytes] = redis.lrange(queue, 0, -1)  # type: ignore[assignment]  # not the async client
            assert len(messages) == len(ACCOUNTS)
            redis.lpush(queue, *messages)
    here.start_worker(WORKER_CONCURRENCY="3")
    for event_id in event_ids:
        here.finish(event_id)
    with Redis.from_url(here.environment["REDIS_URL"]) as redis:
        until(lambda: redis.llen("live") == redis.llen("report") == 0)
    with here.ledger.begin() as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == len(event_ids)
    for account in ACCOUNTS:
        on_target(here, account)


def test_a_flushed_redis_loses_no_event(here: World) -> None:
    event_ids = [here.submit(account, Command.PRINT_EQUITY) for account in ACCOUNTS]
    Redis.from_url(here.environment["REDIS_URL"]).flushall()
    here.start_worker()
    here.start_beat()
    for event_id in event_ids:
        here.finish(event_id)


def test_a_lock_left_behind_delays_by_seconds_at_most(here: World) -> None:
    Redis.from_url(here.environment["REDIS_URL"]).set("rebalancer:message:DU1000001:print-equity", "gone", px=300_000)
    here.start_worker()
    here.start_beat()
    here.finish(here.submit("DU1000001", Command.PRINT_EQUITY), 15)


def test_a_signal_recorded_while_redis_was_away_is_published_later(here: World) -> None:
    services = Services.of(here.settings.changed(redis_url="redis://127.0.0.1:1/0"))
    account = services.accounts().get("DU1000001")
    served = request(services.dispatcher, account, Command.PRINT_EQUITY, {}, "cli")
    here.start_worker()
    here.start_beat()
    here.finish(served.event_id)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[tuple[World, RunningServer, RunningServer]]:
    """A world whose servers may be killed: outside pytest's folder, which the servers' user may not enter again."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with (
            running_postgres(Path(folder) / "postgres") as postgres,
            running_redis(Path(folder) / "redis") as redis,
        ):
            migrate(postgres.url)
            ledger = Ledger(postgres.url)
            with world(tmp_path, ledger, redis.url, fills=SLOW_FILLS) as made:
                yield made, postgres, redis
            ledger.close()


def test_a_redis_that_comes_back_empty_during_a_run_costs_nothing(
    mortal: tuple[World, RunningServer, RunningServer],
) -> None:
    """A worker with a free slot must live on: Celery 5.7 exits here when messages are acknowledged late."""
    here, _postgres, redis = mortal
    worker = here.start_worker(WORKER_CONCURRENCY="2")
    here.start_beat()
    event_id = here.submit("DU1000007", Command.REBALANCE)
    until(lambda: bool(order_refs(here)))
    redis.kill()
    redis.start()
    Redis.from_url(redis.url).flushall()
    here.finish(event_id)
    on_target(here, "DU1000007")
    assert worker.poll() is None


def test_a_postgresql_killed_during_a_run_leaves_no_double_order(
    mortal: tuple[World, RunningServer, RunningServer],
) -> None:
    here, postgres, _redis = mortal
    here.start_worker()
    here.start_beat()
    event_id = here.submit("DU1000007", Command.REBALANCE)
    until(lambda: bool(order_refs(here)))
    postgres.kill()
    postgres.start()
    here.finish(event_id)
    on_target(here, "DU1000007")
    assert {"VTI", "BND"}.isdisjoint(held(here, "DU1000007"))
