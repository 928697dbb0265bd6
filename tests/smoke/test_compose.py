"""`docker compose --profile sandbox up`: the demo in containers, and what a restart of each of them costs: nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.smoke.conftest import ACCOUNTS
from tests.smoke.engine import ROOT, run, until
from tests.smoke.promises import connected, prove, prove_on_target
from tests.smoke.stack import DRY, LIVE, LedgerInside, Stack, service_of

pytestmark = pytest.mark.timeout(900)
IN_TURN = ("ably", "gateway", "listener", "worker", "beat", "api", "flower", "redis", "postgres", "allocations", "flex")
TRIED = "SELECT event_id, json_agg(outcome ORDER BY number) AS outcomes FROM attempts GROUP BY event_id"


class Demo(Stack):
    """The sandbox profile. Its prices move many times in one day, so that all accounts have margin: one without would
    wait for the day on which its sales settle.
    """

    prefix = "sandbox-"

    def __init__(self) -> None:
        world = yaml.safe_load((ROOT / "sandbox/scenarios/default.yaml").read_text())
        world["accounts"]["DU1000001"]["margin"] = True
        files = "docker-compose.yaml:tests/smoke/patience.yaml"
        environment = {"COMPOSE_FILE": files, "SCENARIO": json.dumps(world, default=str)}
        super().__init__("rebalancer-smoke", ROOT, "sandbox", environment)


@pytest.fixture(scope="module")
def stack() -> Iterator[Demo]:
    """The sandbox profile from nothing, removed with its volumes afterwards."""
    made = Demo()
    made.compose("down", "--volumes", "--timeout", "5")
    try:
        made.compose("up", "--detach")
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "20")


@pytest.fixture(scope="module")
def ledger(stack: Demo) -> LedgerInside:
    """Its ledger."""
    return LedgerInside(stack)


@pytest.fixture
def settled(ledger: LedgerInside) -> Callable[[], None]:
    """Wait until every signal is on record and served."""
    return lambda: until(ledger.settled, 180, ledger.described)


def test_all_of_it_comes_up_healthy(stack: Demo) -> None:
    until(lambda: not stack.unhealthy(), 240, stack.unhealthy)
    assert len(stack.containers()) == len(IN_TURN)


def test_nobody_is_root_and_no_root_can_be_written_to(stack: Demo) -> None:
    for one in stack.containers():
        host, identifier = one["HostConfig"], one["Id"]
        assert 0 not in _users(identifier), one["Name"]
        refused = run("docker", "exec", identifier, "sh", "-c", "touch /x 2>&1 || true")
        assert "Read-only file system" in refused, one["Name"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["Privileged"]
        published = [port["HostIp"] for ports in (host["PortBindings"] or {}).values() for port in ports]
        assert set(published) <= {"127.0.0.1"}


def _users(identifier: str) -> set[int]:
    """Of all processes in a container; the engine's own, which turns into a health check's, is none of them."""
    told = run("docker", "exec", identifier, "sh", "-c", "cat /proc/[0-9]*/status | grep -E '^(Name|Uid):'")
    lines = [line.split() for line in told.splitlines()]
    pairs = zip(lines[::2], lines[1::2], strict=True)
    return {int(user) for (_, name, *_), (_, *users) in pairs if not name.startswith("runc:") for user in users}


def test_the_demo_has_no_way_out(stack: Demo) -> None:
    """The engine forwards nothing from an internal network; only the two that are published are in another one too."""
    doors = set()
    for one in stack.containers():
        networks = json.loads(run("docker", "network", "inspect", *one["NetworkSettings"]["Networks"]))
        if not all(network["Internal"] for network in networks):
            doors.add(service_of(one))
    assert doors == {"sandbox-api", "sandbox-flower"}


def test_a_signal_rebalances_seven_accounts(stack: Demo, ledger: LedgerInside, settled: Callable[[], None]) -> None:
    stack.publish(LIVE)
    settled()
    prove(ledger, stack.gateway(), ACCOUNTS)
    assert len({order["account"] for order in stack.gateway()["orders"]}) == len(ACCOUNTS) - 1  # one is on target
    stack.publish(DRY)
    settled()
    prove_on_target(ledger, ACCOUNTS)


@pytest.mark.parametrize("service", IN_TURN)
def test_a_restart_amid_a_signal_loses_nothing(
    service: str, stack: Demo, ledger: LedgerInside, settled: Callable[[], None]
) -> None:
    """Each restart falls into runs with orders, since a price has moved."""
    stack.set_price("EDC", "51.10" if IN_TURN.index(service) % 2 else "48.30")
    stack.publish(LIVE)
    stack.compose("restart", f"sandbox-{service}")
    until(stack.ledger_answers, 60)
    settled()
    prove(ledger, stack.gateway(), ACCOUNTS)


def test_a_gateway_that_restarts_amid_a_signal_is_found_again(
    stack: Demo, ledger: LedgerInside, settled: Callable[[], None]
) -> None:
    """The nightly restart: nobody listens for a while, and the broker behind it goes on."""
    stack.set_price("EDC", "49.70")
    stack.publish(LIVE)
    stack.steer("restart", {"refuse_s": 5})
    settled()
    prove(ledger, stack.gateway(), ACCOUNTS)


def test_a_gateway_that_waits_for_the_second_factor_says_so_until_it_has_it(stack: Demo, ledger: LedgerInside) -> None:
    """In the ledger's outbox, in the readiness, and in its health."""
    stack.steer("restart", {"refuse_s": 0, "second_factor": True})
    until(lambda: ledger.login_notices() == ["login-asked"], 30, ledger.login_notices)
    until(lambda: "waits for the second factor: approve it in IBKR Mobile" in stack.readiness(), 60, stack.readiness)
    stack.answer_login("miss")
    until(lambda: ledger.login_notices() == ["login-asked", "login-missed"], 30, ledger.login_notices)
    until(lambda: any("sandbox-gateway" in name for name in stack.unhealthy()), 60, stack.unhealthy)
    stack.answer_login("approve")
    until(lambda: ledger.login_notices()[2:] == ["logged-in"], 30, ledger.login_notices)
    until(lambda: "second factor" not in stack.readiness(), 60, stack.readiness)
    until(lambda: not stack.unhealthy(), 120, stack.unhealthy)


def test_a_gateway_that_takes_connections_and_says_nothing_is_unhealthy(stack: Demo) -> None:
    assert stack.gateway_speaks()
    stack.steer("faults", {"connections": "silence"})
    assert not stack.gateway_speaks()
    stack.steer("faults", {})
    assert stack.gateway_speaks()


def test_a_stop_amid_orders_lets_their_run_finish_first(
    stack: Demo, ledger: LedgerInside, settled: Callable[[], None]
) -> None:
    """The worker ends its run while gateway and stores are there: what was on its first attempt succeeds in it."""
    stack.steer("faults", {"fills": {"*": {"mode": "delayed", "delay_ms": 3000}}})
    stack.set_price("EDC", "47.90")
    stack.publish(LIVE)
    until(ledger.trading, 60, ledger.described)
    running = {event for (event,) in ledger.rows("SELECT id FROM events WHERE state = 'running'")}
    stack.compose("stop")
    stack.compose("up", "--detach")
    until(stack.ledger_answers, 60)
    settled()
    tried = {event: outcomes for event, outcomes in ledger.rows(TRIED) if event in running}
    assert tried == {event: ["succeeded"] for event in running} != {}
    prove(ledger, stack.gateway(), ACCOUNTS)
    stack.steer("faults", {})


def test_workers_scale(stack: Demo, ledger: LedgerInside, settled: Callable[[], None]) -> None:
    stack.compose("up", "--detach", "--no-recreate", "--scale", "sandbox-worker=2")
    all_ids = list(range(100, 100 + 2 * len(ACCOUNTS)))
    until(lambda: connected(stack.gateway()) == all_ids, 120, lambda: connected(stack.gateway()))
    stack.publish(LIVE)
    settled()
    stack.publish(DRY)
    settled()
    prove_on_target(ledger, ACCOUNTS)
    until(lambda: not stack.unhealthy(), 240, stack.unhealthy)
