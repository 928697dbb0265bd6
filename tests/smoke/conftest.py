"""A world of containers on one network: the project's own image around PostgreSQL, Redis and the simulated gateway."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from celery import Celery
from pytest_celery import CeleryTestContainer, CeleryTestWorker, CeleryWorkerContainer, RedisContainer, RedisTestBroker
from pytest_docker_tools import container, fxtr

import docker
from tests.conftest import AUTHORITIES
from tests.smoke.engine import POSTGRES_IMAGE, REDIS_IMAGE, ROOT, SANDBOX_IMAGE, build_images, why_not
from tests.smoke.promises import Books
from tests.smoke.releases import old_worker
from tests.smoke.stack import LOOK

# Docker may ask a registry, whose certificate somebody has signed.
del os.environ["SSL_CERT_FILE"]
if AUTHORITIES is not None:
    os.environ["SSL_CERT_FILE"] = AUTHORITIES

ACCOUNTS = tuple(one["account_id"] for one in yaml.safe_load((ROOT / "accounts.yaml").read_text())["accounts"])
PASSWORD = "smoke"
CONFINED: dict[str, Any] = {
    "network": "{default_pytest_celery_network.name}",
    "init": True,
    "read_only": True,
    "tmpfs": {"/tmp": "mode=1777"},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "timeout": 90,
}
SUBMIT = """
import sys
from rebalancer.domain.commands import Command
from rebalancer.operations.requests import request
from rebalancer.services import Services
from rebalancer.config.settings import load_settings
services = Services.of(load_settings())
for account in sys.argv[2:]:
    request(services.dispatcher, services.accounts().get(account), Command(sys.argv[1]), {}, "cli")
"""


def pytest_sessionstart(session: pytest.Session) -> None:
    """The project's images, from this checkout: once, before the processes begin that share the tests."""
    if not hasattr(session.config, "workerinput") and why_not() is None:
        build_images()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip loudly where there is no engine."""
    reason = why_not()
    if reason is None:
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"SMOKE TESTS SKIPPED: {reason}. Nothing about containers is proven.", red=True, bold=True)
    for item in items:
        item.add_marker(pytest.mark.skip(reason=reason))


class Postgres(CeleryTestContainer):
    """Ready when its port listens, which it does after initialisation only."""

    @property
    def dsn(self) -> str:
        """For the tests, from outside."""
        host, port = self.get_addr("5432/tcp")
        return f"postgresql://owner:{PASSWORD}@{host}:{port}/rebalancer"


class Program(CeleryTestContainer):
    """One process of our image."""

    def python(self, code: str, *arguments: str) -> str:
        """Output of Python code inside."""
        status, output = self.exec_run(["python", "-c", code, *arguments])
        text = str(output.decode())
        assert status == 0, text
        return text


class Gateway(Program):
    """The simulated gateway, with a door for questions on its own loopback address."""

    @property
    def ready_prompt(self) -> str:
        return "gateway listening"

    def state(self) -> dict[str, Any]:
        """Accounts, orders, executions and connections as the gateway has them."""
        found: dict[str, Any] = json.loads(self.python(LOOK))
        return found


class Worker(CeleryWorkerContainer):
    """Our own image, command and queues in place of pytest-celery's."""

    @classmethod
    def command(cls, *args: str, **_kwargs: Any) -> list[str]:  # type: ignore[override]
        return ["celery", "-A", "tasks", "worker", "--hostname", "worker@%h", *args]

    @classmethod
    def worker_name(cls) -> str:
        return "worker"


class Broker(RedisContainer):
    """Our version of Redis. It keeps nothing over a restart, which is the hardest case."""

    @classmethod
    def image(cls) -> str:
        return REDIS_IMAGE


@pytest.fixture
def default_redis_broker_cls() -> type[RedisContainer]:
    """Used by pytest-celery's broker."""
    return Broker


@pytest.fixture
def default_redis_broker_image() -> str:
    """As above."""
    return REDIS_IMAGE


default_redis_broker = container(
    image=REDIS_IMAGE,
    ports=fxtr("default_redis_broker_ports"),
    network="{default_pytest_celery_network.name}",
    wrapper_class=Broker,
    timeout=60,
    command=fxtr("default_redis_broker_command"),
)

postgres = container(
    image=POSTGRES_IMAGE,
    environment={"POSTGRES_USER": "owner", "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "rebalancer"},
    ports={"5432/tcp": None},
    network="{default_pytest_celery_network.name}",
    wrapper_class=Postgres,
    timeout=90,
)


@pytest.fixture
def scenario() -> dict[str, str]:
    """Orders take a second to fill, so that there is a middle of a run."""
    world = yaml.safe_load((ROOT / "sandbox/scenarios/default.yaml").read_text())
    world["fills"] = {"mode": "delayed", "delay_ms": 1500}
    return {"SCENARIO": json.dumps(world, default=str)}


gateway = container(
    image=SANDBOX_IMAGE,
    environment=fxtr("scenario"),
    command=[
        "sh",
        "-ec",
        'echo "$SCENARIO" >/tmp/scenario.yaml; exec rebalancer sandbox gateway --host 0.0.0.0 --port 4004 '
        "--control-port 4005 --scenario /tmp/scenario.yaml",
    ],
    wrapper_class=Gateway,
    **CONFINED,
)
allocations = container(
    image=SANDBOX_IMAGE,
    command=["rebalancer", "sandbox", "allocations", "--host", "0.0.0.0"],
    wrapper_class=Program,
    **CONFINED,
)


def _host(one: CeleryTestContainer) -> str:
    """Its name on the network; Docker's generated names are not known there."""
    return str(one.attrs["Config"]["Hostname"])


@pytest.fixture
def settings(
    postgres: Postgres,
    celery_redis_broker: RedisTestBroker,
    gateway: Gateway,
    allocations: Program,
    default_pytest_celery_network: Any,
) -> dict[str, str]:
    """Environment of our processes; the schema is there, and they work as the application's own role."""

    def url(role: str) -> str:
        return f"postgresql+psycopg2://{role}:{PASSWORD}@{_host(postgres)}/rebalancer"

    migrate = f"alembic upgrade head; echo {PASSWORD} >/tmp/p; rebalancer grant rebalancer --password-file /tmp/p"
    docker.from_env().containers.run(
        SANDBOX_IMAGE,
        ["sh", "-ec", migrate],
        environment={"DATABASE_URL": url("owner"), "ALLOW_CLEAR_DATABASE": _host(postgres)},
        network=default_pytest_celery_network.name,
        remove=True,
    )
    return {
        "DATABASE_URL": url("rebalancer"),
        "ALLOW_CLEAR_DATABASE": _host(postgres),
        "REDIS_URL": celery_redis_broker.container.url,
        "ALLOW_CLEAR_REDIS": str(urlsplit(celery_redis_broker.container.url).hostname),
        "ALLOW_CLEAR_ALLOCATIONS": _host(allocations),
        "IB_HOST": _host(gateway),
        "IB_PORT": "4004",
        "ALLOCATIONS_BASE_URL": f"http://{_host(allocations)}:8090",
        "ALLOCATIONS_API_KEY": "sandbox",
        "RETRY_DELAY_S": "1",
        "LEASE_S": "8",
        "WORKER_CONCURRENCY": "3",
    }


BEAT = ["celery", "-A", "tasks", "beat", "-S", "tasks.beat:LedgerScheduler"]
beat = container(image=SANDBOX_IMAGE, environment=fxtr("settings"), command=BEAT, wrapper_class=Program, **CONFINED)


def _worker(image: str = SANDBOX_IMAGE, **options: Any) -> Any:
    return container(
        **{
            "image": image,
            "environment": fxtr("settings"),
            "command": Worker.command(),
            "wrapper_class": Worker,
            **CONFINED,
            **options,
        }
    )


@pytest.fixture
def elsewhere(settings: dict[str, str], gateway: Gateway) -> dict[str, str]:
    """Settings of another host, which knows the gateway by another name."""
    return {**settings, "IB_HOST": gateway.ips.primary}


first = _worker()
second = _worker()
on_another_host = _worker(hostname="other-host", environment=fxtr("elsewhere"))
of_an_older_release = _worker("{old_image}")


@pytest.fixture(scope="session")
def old_image() -> str:
    """The worker's code as it was with an older schema."""
    return old_worker()


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Callable[[str], CeleryTestWorker]:
    """Start a worker by the name of its fixture; returns once it takes messages."""
    return lambda name: CeleryTestWorker(request.getfixturevalue(name), Celery(set_as_current=False))


@pytest.fixture
def submit(beat: Program) -> Callable[..., None]:
    """Ask for a command on accounts, as the command line does."""
    return lambda command, *accounts: beat.python(SUBMIT, command, *accounts) and None


@pytest.fixture
def books(postgres: Postgres) -> Books:
    """The ledger, from outside."""
    return Books(postgres.dsn)
