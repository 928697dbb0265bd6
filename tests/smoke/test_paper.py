"""`make secrets`, `docker compose up`: paper as docs/deployment.md says, with a stand-in for the gateway's image."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.smoke.conftest import ACCOUNTS
from tests.smoke.engine import run, until
from tests.smoke.needs import NEEDS, READ_SETTINGS
from tests.smoke.paper import KEYS, Paper, copy_checkout, prepare, running
from tests.smoke.promises import prove
from tests.smoke.stack import LIVE, STRATEGY, LedgerInside, service_of

pytestmark = pytest.mark.timeout(900)
PROJECT = "rebalancer-paper"
PEERS = {"postgres": ("ledger", 5432), "redis": ("queue", 6379), "ib-gateway": ("broker", 4004)}
KNOCK = """
import json, socket, sys
def reached(host, port):
    try:
        socket.create_connection((host, port), 3).close()
    except OSError:
        return False
    return True
print(json.dumps([name for name, port in json.loads(sys.argv[1]) if reached(name, port)]))
"""
TURNS = 1_000_000_000
STOP_GRACE_S = 60


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an owner has after `make secrets` and his own keys."""
    folder = tmp_path_factory.mktemp("evening")
    copy_checkout(folder)
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def paper(checkout: Path) -> Iterator[Paper]:
    """It runs and is healthy."""
    with running(Paper, PROJECT, checkout) as made:
        yield made


def test_each_container_has_the_keys_and_networks_that_it_needs_and_no_others(paper: Paper) -> None:
    absent = {"ib-gateway-live", "ib-gateway-second", "worker-second", "console", "setup", "restore"}
    assert paper.belongings() == {name: need for name, need in NEEDS.items() if name not in absent}
    containers = {service_of(one): one for one in paper.containers("--all")}
    mounted = {name: {mount["Destination"] for mount in one["Mounts"]} for name, one in containers.items()}
    assert {name for name in mounted if {"/settings", "/config"} & mounted[name]} == READ_SETTINGS - absent
    writable = {name for name, one in containers.items() if not one["HostConfig"]["ReadonlyRootfs"]}
    assert writable == {"ib-gateway-paper"}


@pytest.mark.parametrize("service", ["listener", "worker", "beat", "api", "flower"])
def test_whom_a_container_reaches_its_networks_say(paper: Paper, service: str) -> None:
    peers = json.dumps([(name, port) for name, (_, port) in PEERS.items()])
    reached = json.loads(paper.inside(service, "python", "-c", KNOCK, peers))
    _, networks = NEEDS[service]
    assert reached == [name for name, (network, _) in PEERS.items() if network in networks]


def test_the_doctor_in_the_console_finds_nothing_wrong(paper: Paper) -> None:
    told = paper.told_by_doctor()
    assert "FAIL" not in told
    for words in ("API answers at api:", "Flower answers at flower:", "WARN notifications:"):
        assert words in told


def test_a_signal_trades_each_account_in_its_turn_behind_the_gateways_forwarder(paper: Paper) -> None:
    ledger = LedgerInside(paper)
    paper.publish(LIVE)
    until(ledger.settled, 180, ledger.described)
    prove(ledger, paper.gateway(), ACCOUNTS)
    assert len({one["client_id"] for one in _turns(paper)}) == len(ACCOUNTS)
    until(lambda: all(one["closed_at"] for one in _turns(paper)), 30, lambda: _turns(paper))


def test_the_login_is_told_from_what_the_gateways_container_says(paper: Paper) -> None:
    """Its helper writes to its output only. The forwarder takes connections all the while, which is not health."""
    ledger = LedgerInside(paper)
    paper.steer("restart", {"refuse_s": 0, "second_factor": True})
    until(lambda: ledger.login_notices() == ["login-asked"], 30, ledger.login_notices)
    assert "Second Factor Authentication initiated" in paper.compose("logs", "ib-gateway-paper")
    assert not paper.gateway_speaks()
    paper.answer_login("approve")
    until(lambda: ledger.login_notices() == ["login-asked", "logged-in"], 30, ledger.login_notices)
    until(paper.gateway_speaks, 30)


def test_a_new_gateway_container_keeps_the_settings_of_the_old(paper: Paper) -> None:
    before = paper.gateway()["orders"]
    started = time.monotonic()
    paper.compose("up", "--detach", "--no-deps", "--force-recreate", "ib-gateway-paper")
    assert time.monotonic() - started < STOP_GRACE_S  # a stop ends it, and does not wait to kill it
    until(paper.gateway_speaks, 60)
    assert before == paper.gateway()["orders"] != []


def test_the_other_image_fits_into_the_same_deployment(paper: Paper) -> None:
    """As docs/deployment.md has it in .env; its image is not here to be started."""
    environment = {"COMPOSE_FILE": "docker-compose.yaml:docker/compose.ibg-controller.yaml"}
    for mode in ("paper", "live"):
        told = [
            json.loads(run("docker", "compose", "config", "--format", "json", folder=paper.folder, environment=one))
            for one in ({"COMPOSE_PROFILES": mode}, {"COMPOSE_PROFILES": mode, **environment})
        ]
        usual, other = (one["services"][f"ib-gateway-{mode}"] for one in told)
        changed = {key for key in other if other[key] != usual[key]}
        assert changed == {"image", "environment", "stop_grace_period"}
        assert "ibg-controller" in other["image"]
        assert other["environment"].items() >= {"TRADING_MODE": mode, "USE_IBG_CONTROLLER": "yes"}.items()


def test_an_edit_of_the_settings_is_told_until_a_restart_applies_it(paper: Paper, checkout: Path) -> None:
    """Most editors put a new file in the old one's place."""
    file = checkout / "secrets/settings/settings.env"
    run("sed", "-i", "$ a MAX_ORDER_USD=999999", str(file))
    until(lambda: "beat (since" in paper.told_by_doctor(), 60, paper.told_by_doctor)
    assert "without the change of MAX_ORDER_USD: restart it" in paper.told_by_doctor()
    paper.compose("restart", "listener", "worker", "beat", "api")
    until(lambda: not paper.unhealthy(), 240, paper.unhealthy)
    assert "FAIL" not in paper.told_by_doctor()


def test_a_backup_comes_back_as_its_restore_says(paper: Paper, checkout: Path) -> None:
    ledger = LedgerInside(paper)
    before = ledger.orders()
    paper.compose("exec", "-T", "backup", "rebalancer", "backup", "/data")
    paper.compose("cp", "backup:/data/.", "copies")  # elsewhere, and back as a file that came from there
    newest = max((checkout / "copies").iterdir())
    newest.chmod(0o644)
    paper.compose("cp", str(newest), "backup:/data/back.dump")
    paper.compose("stop", "listener", "beat", "worker", "api", "flower")
    paper.compose("run", "--rm", "-T", "restore", "rebalancer", "restore", "/data/back.dump", "--replace")
    paper.compose("up", "--detach")
    assert before == ledger.orders() != {}
    assert "restored from the backup" in paper.console("rebalancer", "halts")
    assert "resumed" in paper.console("rebalancer", "resume")


def test_setup_asks_inside_and_writes_where_the_others_read(paper: Paper, checkout: Path) -> None:
    for name in ("realtime-api-key", "allocations-api-key"):
        (checkout / "secrets" / name).write_text("\n")
    owner = f"{os.getuid()}:{os.getgid()}"
    answers = ("--strategy", STRATEGY, "--allocations-url", "http://sandbox-allocations:8090")
    keys = ("--allocations-key", KEYS["allocations-api-key"], "--realtime-key", KEYS["realtime-api-key"])
    paper.compose("run", "--rm", "-T", "--user", owner, "setup", "--no-input", "--force", *answers, *keys)
    for name in ("realtime-api-key", "allocations-api-key"):
        assert (checkout / "secrets" / name).read_text() == f"{KEYS[name]}\n"
    written = yaml.safe_load((checkout / "config/accounts.yaml").read_text())["accounts"]
    assert tuple(one["account_id"] for one in written) == ACCOUNTS
    # Until they look again, processes tell of the moment in which the keys were empty.
    until(lambda: "FAIL" not in paper.told_by_doctor(), 60, paper.told_by_doctor)


def test_one_line_makes_it_live(paper: Paper) -> None:
    """Mode, gateway and its port at once; nothing is started, since the accounts are paper accounts."""
    environment = {"COMPOSE_PROFILES": "live"}
    command = ("docker", "compose", "config", "--format", "json")
    services = json.loads(run(*command, folder=paper.folder, environment=environment))["services"]
    assert {"ib-gateway-live"} == {name for name in services if name.startswith("ib-gateway")}
    assert services["worker"]["environment"].items() >= {"TRADING_MODE": "live", "IB_PORT": "4003"}.items()


def _turns(paper: Paper) -> list[dict[str, Any]]:
    """The connections that stood for an account."""
    return [one for one in paper.gateway()["connections"] if (one["client_id"] or 0) > TURNS]
