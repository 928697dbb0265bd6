"""`docker compose --profile sandbox up`: the demo in containers, and what a restart of each of them costs: nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.smoke.conftest import ACCOUNTS, LOOK
from tests.smoke.engine import compose_command, run, until
from tests.smoke.promises import Books, connected, prove, prove_on_target

pytestmark = pytest.mark.timeout(900)
STRATEGY = "etf-blend-301-20"
LIVE, DRY = '{"exec": "rebalance"}', "{}"
IN_TURN = ("ably", "gateway", "listener", "worker", "beat", "api", "flower", "redis", "postgres", "allocations")
STEER = """
import sys, urllib.request as u
u.urlopen(u.Request("http://127.0.0.1:4005/" + sys.argv[1], data=sys.argv[2].encode(), method="POST"))
"""


class Stack:
    """One compose project of its own."""

    def __init__(self) -> None:
        ports = {name: _free_port() for name in ("API_PORT", "FLOWER_PORT")}
        self.environment = {"COMPOSE_PROJECT_NAME": "rebalancer-smoke", **{key: str(one) for key, one in ports.items()}}
        self.published: set[str] = set()

    def compose(self, *arguments: str) -> str:
        """Output of one compose command."""
        return run(*compose_command(), "--profile", "sandbox", *arguments, environment=self.environment)

    def inside(self, service: str, *command: str) -> str:
        """Output of a command in a service's container."""
        return self.compose("exec", "-T", f"sandbox-{service}", *command)

    def containers(self) -> list[dict[str, Any]]:
        """What the engine knows of each container that runs."""
        found: list[dict[str, Any]] = json.loads(run("docker", "inspect", *self.compose("ps", "-q").split()))
        return [one for one in found if one["State"]["Running"]]

    def unhealthy(self) -> dict[str, str]:
        """Health of those that are not healthy."""
        seen = {one["Name"]: one["State"].get("Health", {}).get("Status", "none") for one in self.containers()}
        return {name: health for name, health in seen.items() if health != "healthy"}

    def gateway(self) -> dict[str, Any]:
        """The gateway's own books."""
        found: dict[str, Any] = json.loads(self.inside("gateway", "python", "-c", LOOK))
        return found

    def steer(self, what: str, body: dict[str, Any]) -> None:
        """Ask something of the gateway's control port."""
        self.inside("gateway", "python", "-c", STEER, what, json.dumps(body))

    def set_price(self, symbol: str, price: str) -> None:
        """Let the market move."""
        self.steer("prices", {symbol: price})

    def ledger_answers(self) -> bool:
        """PostgreSQL takes connections, as its own tool sees it."""
        told = self.inside("postgres", "sh", "-c", "pg_isready -U owner -d rebalancer || true")
        return "accepting" in told

    def publish(self, payload: str) -> None:
        """A signal on the strategy's channel."""
        self.published.add(self.inside("api", "rebalancer", "sandbox", "publish", STRATEGY, payload).strip())


class LedgerInside(Books):
    """The ledger of a stack that publishes no port of it."""

    def __init__(self, stack: Stack) -> None:
        super().__init__("")
        self._stack = stack

    def rows(self, query: str, *_arguments: object) -> list[tuple[Any, ...]]:
        wanted = f"SELECT coalesce(json_agg(row), '[]') FROM ({query}) AS row"
        told = self._stack.inside("postgres", "psql", "-U", "owner", "-d", "rebalancer", "-At", "-c", wanted)
        return [tuple(row.values()) for row in json.loads(told, parse_float=Decimal)]

    def heard(self) -> set[str]:
        """Ids of the messages on record."""
        return {one for (one,) in self.rows(f"SELECT message_id FROM signals WHERE channel = '{STRATEGY}'")}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def stack(images: None) -> Iterator[Stack]:
    """The sandbox profile from nothing, removed with its volumes afterwards."""
    made = Stack()
    made.compose("down", "--volumes", "--timeout", "5")
    try:
        made.compose("up", "--detach")
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "20")


@pytest.fixture(scope="module")
def ledger(stack: Stack) -> LedgerInside:
    """Its ledger."""
    return LedgerInside(stack)


@pytest.fixture
def settled(stack: Stack, ledger: LedgerInside) -> Callable[[], None]:
    """Wait until every signal is on record and served."""

    def over() -> bool:
        return ledger.heard() == stack.published and set(ledger.states()) == {"succeeded"} and not ledger.unserved()

    return lambda: until(over, 180, lambda: (stack.published - ledger.heard(), ledger.states(), stack.unhealthy()))


def test_all_of_it_comes_up_healthy(stack: Stack) -> None:
    until(lambda: not stack.unhealthy(), 240, stack.unhealthy)
    assert len(stack.containers()) == len(IN_TURN)


def test_nobody_is_root_and_no_root_can_be_written_to(stack: Stack) -> None:
    for one in stack.containers():
        host, identifier = one["HostConfig"], one["Id"]
        users = run("docker", "exec", identifier, "sh", "-c", "cat /proc/[0-9]*/status | grep ^Uid").split()
        assert "0" not in users, one["Name"]
        refused = run("docker", "exec", identifier, "sh", "-c", "touch /x 2>&1 || true")
        assert "Read-only file system" in refused, one["Name"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["Privileged"]
        published = [port["HostIp"] for ports in (host["PortBindings"] or {}).values() for port in ports]
        assert set(published) <= {"127.0.0.1"}


def test_the_demo_has_no_way_out(stack: Stack) -> None:
    """The engine forwards nothing from an internal network; only the two that are published are in another one too."""
    doors = set()
    for one in stack.containers():
        networks = json.loads(run("docker", "network", "inspect", *one["NetworkSettings"]["Networks"]))
        if not all(network["Internal"] for network in networks):
            doors.add(one["Config"]["Labels"]["com.docker.compose.service"])
    assert doors == {"sandbox-api", "sandbox-flower"}


def test_a_signal_rebalances_seven_accounts(stack: Stack, ledger: LedgerInside, settled: Callable[[], None]) -> None:
    stack.publish(LIVE)
    settled()
    prove(ledger, stack.gateway(), ACCOUNTS)
    assert len({order["account"] for order in stack.gateway()["orders"]}) == len(ACCOUNTS) - 1  # one is on target
    stack.publish(DRY)
    settled()
    prove_on_target(ledger, ACCOUNTS)


@pytest.mark.parametrize("service", IN_TURN)
def test_a_restart_amid_a_signal_loses_nothing(
    service: str, stack: Stack, ledger: LedgerInside, settled: Callable[[], None]
) -> None:
    """Each restart falls into runs with orders, since a price has moved."""
    stack.set_price("EDC", "51.10" if IN_TURN.index(service) % 2 else "48.30")
    stack.publish(LIVE)
    stack.compose("restart", f"sandbox-{service}")
    until(stack.ledger_answers, 60)
    settled()
    prove(ledger, stack.gateway(), ACCOUNTS)


def test_a_gateway_that_restarts_amid_a_signal_is_found_again(
    stack: Stack, ledger: LedgerInside, settled: Callable[[], None]
) -> None:
    """The nightly restart: nobody listens for a while, and the broker behind it goes on."""
    stack.set_price("EDC", "49.70")
    stack.publish(LIVE)
    stack.steer("restart", {"refuse_s": 5})
    settled()
    prove(ledger, stack.gateway(), ACCOUNTS)


def test_workers_scale(stack: Stack, ledger: LedgerInside, settled: Callable[[], None]) -> None:
    stack.compose("up", "--detach", "--no-recreate", "--scale", "sandbox-worker=2")
    all_ids = list(range(100, 100 + 2 * len(ACCOUNTS)))
    until(lambda: connected(stack.gateway()) == all_ids, 120, lambda: connected(stack.gateway()))
    stack.publish(LIVE)
    settled()
    stack.publish(DRY)
    settled()
    prove_on_target(ledger, ACCOUNTS)
    until(lambda: not stack.unhealthy(), 240, stack.unhealthy)
