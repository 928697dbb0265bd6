"""Client ids leased in a real Redis: never held twice, given back, and dropped before they are lost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rebalancer.errors import GatewayUnavailable
from rebalancer.ibkr import ClientIdLease, Connection, ConnectionOptions, IbkrBroker
from rebalancer.runner.servers import RunningServer
from tests.integration.ibkr.serving import Script, serving, until

PREFIX = "test:client-id"


@pytest.fixture
def client(redis_server: RunningServer) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(redis_server.url, socket_timeout=0.5)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def leases() -> Iterator[list[ClientIdLease]]:
    """Leases that are released after the test."""
    made: list[ClientIdLease] = []
    yield made
    for lease in made:
        lease.release()


def ignore(_reason: str) -> None:
    pass


def test_each_process_gets_the_lowest_free_id(client: redis.Redis, leases: list[ClientIdLease]) -> None:
    leases += [ClientIdLease(client, PREFIX, 100, 3) for _ in range(3)]
    assert [lease.acquire(ignore) for lease in leases] == [100, 101, 102]


def test_held_id_is_given_again_without_asking(client: redis.Redis, leases: list[ClientIdLease]) -> None:
    leases.append(ClientIdLease(client, PREFIX, 100, 3))
    assert {leases[0].acquire(ignore) for _ in range(5)} == {100}


def test_released_id_is_free_at_once(client: redis.Redis, leases: list[ClientIdLease]) -> None:
    leases += [ClientIdLease(client, PREFIX, 100, 2) for _ in range(3)]
    leases[0].acquire(ignore)
    leases[1].acquire(ignore)
    leases[0].release()
    assert leases[2].acquire(ignore) == 100


def test_no_free_id_is_an_error(client: redis.Redis, leases: list[ClientIdLease]) -> None:
    leases += [ClientIdLease(client, PREFIX, 100, 1) for _ in range(2)]
    leases[0].acquire(ignore)
    with pytest.raises(GatewayUnavailable, match="100-100 are taken"):
        leases[1].acquire(ignore)


def test_renewed_lease_outlives_its_ttl(client: redis.Redis, leases: list[ClientIdLease]) -> None:
    leases.append(ClientIdLease(client, PREFIX, 100, 1, ttl_s=0.3))
    lost: list[str] = []
    leases[0].acquire(lost.append)
    owner = client.get(f"{PREFIX}:100")
    end = time.monotonic() + 0.9
    until(lambda: client.get(f"{PREFIX}:100") != owner or time.monotonic() > end)
    assert client.get(f"{PREFIX}:100") == owner
    assert lost == []


def test_id_taken_by_another_is_lost_and_said_so(client: redis.Redis, leases: list[ClientIdLease]) -> None:
    leases.append(ClientIdLease(client, PREFIX, 100, 2, ttl_s=0.3))
    lost: list[str] = []
    leases[0].acquire(lost.append)
    client.set(f"{PREFIX}:100", "somebody")
    until(lambda: bool(lost))
    assert lost == ["the client id was taken by another process"]
    assert leases[0].acquire(ignore) == 101


def test_wiped_redis_is_survived(client: redis.Redis, leases: list[ClientIdLease]) -> None:
    leases.append(ClientIdLease(client, PREFIX, 100, 1, ttl_s=0.3))
    lost: list[str] = []
    leases[0].acquire(lost.append)
    client.flushdb()
    until(lambda: client.exists(f"{PREFIX}:100") == 1)
    assert lost == []


def test_release_leaves_anothers_key_alone(client: redis.Redis, leases: list[ClientIdLease]) -> None:
    leases.append(ClientIdLease(client, PREFIX, 100, 1))
    leases[0].acquire(ignore)
    client.set(f"{PREFIX}:100", "somebody")
    leases[0].release()
    assert client.get(f"{PREFIX}:100") == b"somebody"


def test_redis_that_is_away_is_named(leases: list[ClientIdLease]) -> None:
    with redis.Redis(port=1, socket_timeout=0.2, retry=Retry(NoBackoff(), 0)) as away:
        leases.append(ClientIdLease(away, PREFIX, 100, 1))
        with pytest.raises(GatewayUnavailable, match="Redis is away"):
            leases[0].acquire(ignore)


class Flaky:
    """A Redis that can be away."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.away = False

    def set(self, *arguments: object, **options: object) -> object:
        return self._client.set(*arguments, **options)  # type: ignore[arg-type]

    def eval(self, *arguments: object) -> object:
        if self.away:
            raise redis.ConnectionError("away")
        return self._client.eval(*arguments)  # type: ignore[arg-type]


def test_failed_renewals_are_borne_until_the_ttl(client: redis.Redis, leases: list[ClientIdLease]) -> None:
    flaky = Flaky(client)
    leases.append(ClientIdLease(flaky, PREFIX, 100, 1, ttl_s=0.6))  # type: ignore[arg-type]
    lost: list[float] = []
    started = time.monotonic()
    leases[0].acquire(lambda _reason: lost.append(time.monotonic()))
    flaky.away = True
    until(lambda: bool(lost))
    assert 0.4 < lost[0] - started < 0.6, "not at the first failure, and before Redis gives the id away"


def test_refused_id_is_insisted_on_before_the_next_is_tried(client: redis.Redis, leases: list[ClientIdLease]) -> None:
    leases.append(ClientIdLease(client, PREFIX, 100, 3))
    ids = []
    for _ in range(4):
        ids.append(leases[0].acquire(ignore))
        leases[0].refused()
    assert ids == [100, 100, 100, 101]


def test_client_id_zero_is_not_for_rent(client: redis.Redis) -> None:
    with pytest.raises(ValueError, match="client id 0"):
        ClientIdLease(client, PREFIX, 0, 3)


HOLDER = """
import sys, redis
from rebalancer.ibkr import ClientIdLease
lease = ClientIdLease(redis.Redis.from_url(sys.argv[1]), sys.argv[2], 100, 20)
print(lease.acquire(print), flush=True)
sys.stdin.read()
lease.release()
"""


def test_processes_that_start_together_never_share_an_id(redis_server: RunningServer, client: redis.Redis) -> None:
    command = [sys.executable, "-c", HOLDER, redis_server.url, PREFIX]
    holders = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    ids = [int(holder.stdout.readline()) for holder in holders if holder.stdout]
    for holder in holders:
        holder.communicate(timeout=20)
    assert sorted(ids) == [100, 101, 102, 103]
    assert client.keys(f"{PREFIX}:*") == []


def test_lost_lease_drops_the_connection_and_the_next_call_uses_another_id(client: redis.Redis) -> None:
    with serving() as served:
        lease = ClientIdLease(client, PREFIX, 100, 2, ttl_s=0.3)
        connection = Connection(ConnectionOptions("127.0.0.1", served.port), lease)
        broker = IbkrBroker(connection)
        broker.managed_accounts()
        client.set(f"{PREFIX}:100", "somebody")
        until(lambda: not connection.status().connected)
        broker.managed_accounts()
        assert connection.status().client_id == 101
        connection.close()
        assert client.exists(f"{PREFIX}:101") == 0


def test_id_that_the_gateway_keeps_refusing_is_replaced(client: redis.Redis) -> None:
    script = Script(taken={100})
    with serving(script) as served:
        connection = Connection(ConnectionOptions("127.0.0.1", served.port), ClientIdLease(client, PREFIX, 100, 3))
        broker = IbkrBroker(connection)
        for _ in range(3):
            with pytest.raises(GatewayUnavailable, match="100 in use"):
                broker.managed_accounts()
        broker.managed_accounts()
        assert connection.status().client_id == 101
        connection.close()


def test_no_thread_is_left_after_close(client: redis.Redis) -> None:
    before = threading.active_count()
    with serving() as served:
        connection = Connection(ConnectionOptions("127.0.0.1", served.port), ClientIdLease(client, PREFIX, 100, 3))
        IbkrBroker(connection).managed_accounts()
        connection.close()
    until(lambda: threading.active_count() <= before)
