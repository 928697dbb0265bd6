"""Redis and PostgreSQL over TLS: verified by every client that we have, refused when the certificate is another's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import kombu
import pytest
import redis
from celery import Celery
from flower.utils.broker import Broker
from sqlalchemy import text

from rebalancer.config.redis_tls import celery_options
from rebalancer.config.settings import Settings
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger.session import Ledger
from rebalancer.queueing.redis_client import redis_client
from rebalancer.runner.probes import worker_answers
from rebalancer.runner.servers import RunningServer
from tests.integration.security.tls import Guard, Papers, dial, dial_unix, guarded, issue
from tests.world import World, world


@dataclass(frozen=True, slots=True)
class Place:
    """Both servers behind TLS, and URLs that reach them."""

    papers: Papers
    redis: Guard
    postgres: Guard
    redis_url: str
    database_url: str

    def settings(self, **changes: str) -> Settings:
        return Settings.from_flat({"redis_url": self.redis_url, "database_url": self.database_url} | changes)


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, postgres: RunningServer, redis_server: RunningServer
) -> Iterator[Place]:
    """Servers that show a certificate and demand one."""
    context, papers = issue(tmp_path_factory.mktemp("papers"), demand=True)
    plain = urlsplit(redis_server.url)
    sockets = unquote(parse_qs(urlsplit(postgres.url).query)["host"][0])
    doors = (
        Guard(dial(str(plain.hostname), plain.port or 0), context),
        Guard(dial_unix(f"{sockets}/.s.PGSQL.5432"), context, postgres=True),
    )
    with guarded(doors[0]) as before_redis, guarded(doors[1]) as before_postgres:
        own = f"&ssl_certfile={papers.certificate}&ssl_keyfile={papers.key}"
        ours = f"&sslcert={papers.certificate}&sslkey={papers.key}"
        yield Place(
            papers,
            before_redis,
            before_postgres,
            f"rediss://:{plain.password}@localhost:{before_redis.port}/0?ssl_ca_certs={papers.ca}{own}",
            f"postgresql+psycopg2://postgres@localhost:{before_postgres.port}/postgres"
            f"?sslmode=verify-full&sslrootcert={papers.ca}{ours}",
        )


@pytest.fixture
def here(tmp_path: Path, ledger: Ledger, place: Place) -> Iterator[World]:
    """A world whose processes reach both servers through TLS alone."""
    redis_client(place.settings().stores).flushall()
    with world(tmp_path, ledger, place.redis_url) as made:
        made.environment["DATABASE_URL"] = place.database_url
        yield made


def test_the_whole_application_works_over_tls(here: World, place: Place) -> None:
    here.start_worker()
    here.start_beat()
    here.finish(here.submit("DU1000001", Command.REBALANCE))
    assert "w0@test" in here.celery("inspect", "ping")
    assert worker_answers(here.settings.stores.redis_url, "w0@test")()
    assert "insecure" not in here.logs()
    assert place.redis.passed > 0
    assert place.postgres.passed > 0
    assert (place.redis.refused, place.postgres.refused) == (0, 0)


def test_flower_reads_the_queues_over_tls(place: Place) -> None:
    url = place.settings().stores.redis_url
    broker = Broker(url, broker_use_ssl=celery_options(url), broker_options={})
    assert asyncio.run(broker.queues(["live"]))[0]["name"] == "live"


@pytest.fixture
def elsewhere(tmp_path: Path, place: Place) -> Place:
    """The same servers, seen by somebody who trusts another CA."""
    _, others = issue(tmp_path, demand=False)
    wrong = {"redis_url": place.redis_url, "database_url": place.database_url}
    wrong = {name: url.replace(str(place.papers.ca), str(others.ca)) for name, url in wrong.items()}
    return Place(others, place.redis, place.postgres, **wrong)


def test_a_certificate_of_another_ca_is_refused(elsewhere: Place) -> None:
    settings = elsewhere.settings()
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        redis_client(settings.stores).ping()
    app = Celery(
        broker=settings.stores.redis_url, broker_use_ssl=celery_options(settings.stores.redis_url), set_as_current=False
    )
    for connection in (app.connection_for_write(), kombu.Connection(settings.stores.redis_url)):
        with pytest.raises(connection.connection_errors, match="CERTIFICATE_VERIFY_FAILED"), connection:
            connection.connect()
    with (
        pytest.raises(RecordUnavailable, match="certificate verify failed"),
        Ledger(settings.stores.database_url).begin() as session,
    ):
        session.execute(text("SELECT 1"))


def test_a_certificate_for_another_host_is_refused(place: Place) -> None:
    settings = place.settings(
        redis_url=place.redis_url.replace("localhost", "127.0.0.1"),
        database_url=place.database_url.replace("localhost", "127.0.0.1"),
    )
    with pytest.raises(redis.ConnectionError, match="IP address mismatch"):
        redis_client(settings.stores).ping()
    with (
        pytest.raises(RecordUnavailable, match="does not match host name"),
        Ledger(settings.stores.database_url).begin() as session,
    ):
        session.execute(text("SELECT 1"))


def test_a_client_without_a_certificate_is_not_let_in(place: Place) -> None:
    settings = place.settings(
        redis_url=place.redis_url.partition("&")[0], database_url=place.database_url.partition("&sslcert")[0]
    )
    with pytest.raises(redis.ConnectionError):
        redis_client(settings.stores).ping()
    with pytest.raises(RecordUnavailable), Ledger(settings.stores.database_url).begin() as session:
        session.execute(text("SELECT 1"))
    assert min(place.redis.refused, place.postgres.refused) > 0


def test_nothing_is_said_in_the_clear(place: Place) -> None:
    plain = place.settings(
        redis_url=f"redis://localhost:{place.redis.port}/0",
        database_url=f"postgresql+psycopg2://postgres@localhost:{place.postgres.port}/postgres?sslmode=disable",
    )
    with pytest.raises(redis.ConnectionError):
        redis_client(plain.stores).ping()
    with pytest.raises(RecordUnavailable), Ledger(plain.stores.database_url).begin() as session:
        session.execute(text("SELECT 1"))
