"""Whatever lies in Redis, worker and beat go on: it is dropped and said, and the ledger publishes what is due again."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from rebalancer.domain.commands import Command
from rebalancer.queueing.celery_queues import LARGEST, LIVE_QUEUE, QUEUES, REPORT_QUEUE
from rebalancer.queueing.message_locks import PREFIX
from tests.world import World, until

ACCOUNT = "DU1000001"
Json = Any


def body(content: Json) -> str:
    """A message's body as kombu sends it."""
    return base64.b64encode(json.dumps(content).encode()).decode()


def message(**changes: Json) -> dict[str, Json]:
    """A message as Celery would send it, of an event that does not exist."""
    return {
        "body": body([[str(uuid4())], {}, {}]),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "rebalance", "id": str(uuid4()), "retries": 0, "argsrepr": ""},
        "properties": {
            "correlation_id": "x",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": LIVE_QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
        **changes,
    }


def headers(**changes: Json) -> dict[str, Json]:
    """The same with other headers."""
    made = message()
    made["headers"] |= changes
    return made


def properties(**changes: Json) -> dict[str, Json]:
    """The same with other properties."""
    made = message()
    made["properties"] |= changes
    return made


DEEP = '{"a":' * 50_000 + "1" + "}" * 50_000
RAW: list[bytes] = [
    b"not json",
    b"",
    b"\x80\x81\xfe\xff",
    b"null",
    b"1e999",
    b'"text"',
    b"[]",
    b"{}",
    b'{"a":1}',
    b"[" * 100_000,
    DEEP.encode(),
    json.dumps(message()).encode() + b"\xff",
    b'{"headers": {"id": "x", "task": "rebalance"}}',
    b'{"headers": {"__type__": "datetime", "__value__": 1}}',
    b'{"properties": 7}',
    b"x" * (3 * LARGEST),
]
SHAPED: list[Json] = [
    message(body=body({"a": 1})),
    message(body=body([])),
    message(body=body("text")),
    message(body=body(None)),
    message(body=body([1, 2, 3])),
    message(body=body([[], {}, {}])),
    message(body=body([["x"] * 100, {"event_id": "y"}, {}])),
    message(body=body([[{"deep": 1}], {"x": []}, None])),
    message(body=body([[str(uuid4())], {}, {"callbacks": [1], "errbacks": {"a": 1}, "chain": 7, "chord": "x"}])),
    message(body=""),
    message(body="%%%"),
    message(body=None),
    message(body=7),
    message(body=base64.b64encode(b"\x80\xff").decode()),
    message(body=base64.b64encode(DEEP[:9000].encode()).decode()),
    message(body=base64.b64encode(("[" * 20_000).encode()).decode()),
    message(headers=None),
    message(headers=[]),
    message(headers="x"),
    message(headers={}),
    message(headers={"task": "rebalance"}),
    headers(task="os.system"),
    headers(task="celery.backend_cleanup"),
    headers(task="celery.chord_unlock"),
    headers(task=None),
    headers(task=[]),
    headers(task={"a": 1}),
    headers(task=""),
    headers(id=None),
    headers(id=[1]),
    headers(id={"a": 1}),
    headers(eta="never"),
    headers(eta="9999-12-31T23:59:59+14:00"),
    headers(eta=1e300),
    headers(expires="x"),
    headers(expires=[1]),
    headers(timelimit="x"),
    headers(timelimit=["a", "b"]),
    headers(timelimit=[None, -1]),
    headers(retries="many"),
    headers(shadow=[1]),
    headers(compression="zlib"),
    headers(compression="nothing"),
    headers(group=7, root_id={}, parent_id=[]),
    properties(delivery_tag=None),
    properties(delivery_tag={"a": 1}),
    properties(delivery_info=None),
    properties(delivery_info=[]),
    properties(body_encoding="rot13"),
    properties(body_encoding=[]),
    properties(priority="high"),
    properties(reply_to={"a": 1}),
    message(**{"content-type": "application/x-python-serialize"}),
    message(**{"content-type": 7}),
    message(**{"content-encoding": "klingon"}),
]


@pytest.fixture
def redis_client(here: World) -> Redis:
    """Whoever reaches Redis."""
    return Redis.from_url(here.environment["REDIS_URL"])


def test_worker_and_beat_survive_whatever_lies_in_the_queues(here: World, redis_client: Redis) -> None:
    worker, beat = here.start_worker(), here.start_beat()
    poison = [*RAW, *(json.dumps(one).encode() for one in SHAPED)]
    for queue in QUEUES:
        redis_client.lpush(queue, *poison)
    until(lambda: all(redis_client.llen(queue) == 0 for queue in QUEUES), 60)
    here.finish(here.submit(ACCOUNT, Command.PRINT_EQUITY))
    here.finish(here.submit(ACCOUNT, Command.REBALANCE))
    assert (worker.poll(), beat.poll()) == (None, None)
    assert "poison_discarded" in here.logs()
    assert "Restoring" not in here.logs(), "the worker was stopped"


def test_a_worker_that_starts_into_poison_works(here: World, redis_client: Redis) -> None:
    for queue in QUEUES:
        redis_client.lpush(queue, *RAW, *(json.dumps(one).encode() for one in SHAPED))
    event_id = here.submit(ACCOUNT, Command.PRINT_EQUITY)
    worker, beat = here.start_worker(), here.start_beat()
    here.finish(event_id)
    assert (worker.poll(), beat.poll()) == (None, None)


@pytest.mark.parametrize("key", [*QUEUES, f"{LIVE_QUEUE}\x06\x163", "unacked", "unacked_index"])
def test_a_key_of_another_kind_is_deleted(here: World, redis_client: Redis, key: str) -> None:
    worker, beat = here.start_worker(), here.start_beat()
    redis_client.delete(key)
    redis_client.set(key, "poison")
    here.finish(here.submit(ACCOUNT, Command.PRINT_EQUITY))
    until(lambda: redis_client.type(key) != b"string")
    assert (worker.poll(), beat.poll()) == (None, None)


def test_unreadable_unacknowledged_messages_are_forgotten(here: World, redis_client: Redis) -> None:
    for number, raw in enumerate(RAW):
        redis_client.hset("unacked", f"tag{number}", raw)
        redis_client.zadd("unacked_index", {f"tag{number}": 1})
    worker = here.start_worker()
    until(lambda: redis_client.zcard("unacked_index") <= 6, 60)
    here.finish(here.submit(ACCOUNT, Command.PRINT_EQUITY))
    assert worker.poll() is None


@pytest.mark.parametrize("channel", ["celery.pidbox", "celeryev/worker.heartbeat"])
def test_poison_among_broadcasts_is_dropped(here: World, redis_client: Redis, channel: str) -> None:
    worker = here.start_worker()
    until(lambda: redis_client.pubsub_numpat() > 0)
    for raw in [*RAW, *(json.dumps(one).encode() for one in SHAPED)]:
        redis_client.publish(f"/0.{channel}", raw)
    here.finish(here.submit(ACCOUNT, Command.PRINT_EQUITY))
    assert "print-equity" in here.celery("inspect", "registered")
    assert worker.poll() is None


@pytest.mark.parametrize("poison", [b"\xff\xfe", b"", "list"])
def test_a_poisoned_lock_keeps_no_event_back(here: World, redis_client: Redis, poison: bytes | str) -> None:
    key = f"{PREFIX}{ACCOUNT}:{Command.PRINT_EQUITY}"
    redis_client.lpush(key, "x") if poison == "list" else redis_client.set(key, poison)
    here.start_worker()
    here.finish(here.submit(ACCOUNT, Command.PRINT_EQUITY))
    assert redis_client.llen(REPORT_QUEUE) == 0
