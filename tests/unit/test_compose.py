"""The compose file keeps its promises: pinned, confined, checked, and reachable from this machine only."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from rebalancer.config.broker_settings import LIVE_PORTS, PAPER_PORTS
from rebalancer.config.foreign_keys import FOREIGN_KEYS
from rebalancer.config.settings import ENV_FILE, Settings, load_settings, setting_names
from rebalancer.runner.programs import WORKER_STOP_S
from tests.smoke.needs import NEEDS, READ_SETTINGS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")
ONE_SHOTS = {"migrate", "sandbox-migrate", "console", "setup", "restore"}
WRITES_TO_ITS_ROOT = {"ib-gateway-paper", "ib-gateway-live", "ib-gateway-second"}
"""The image of the IB Gateway generates its configuration into its home folder."""
RUNS_AS = {"postgres": "postgres", "redis": "redis", "sandbox-postgres": "postgres", "sandbox-redis": "redis"}
LIMITS = ("mem_limit", "cpus", "pids_limit")


def _filled(text: str) -> str:
    """With the default of each variable."""
    return VARIABLE.sub(lambda found: found[2] or "", text)


def _problems(compose: dict[str, Any]) -> Iterator[str]:
    for name, service in compose["services"].items():
        yield from (f"{name}: {problem}" for problem in _of_service(name, service))
    if "docker.sock" in str(compose):
        yield "the engine's socket is handed out"


def _of_service(name: str, service: dict[str, Any]) -> Iterator[str]:
    _, _, tag = _filled(service["image"]).rpartition(":")
    if not re.search(r"\d", tag) or tag == "latest":
        yield f"image {service['image']} is not pinned"
    yield from (f"publishes {port}" for port in service.get("ports", ()) if not str(port).startswith("127.0.0.1:"))
    yield from (f"has no {limit}" for limit in LIMITS if limit not in service)
    if service.get("cap_drop") != ["ALL"] or "cap_add" in service or service.get("privileged"):
        yield "keeps capabilities"
    if service.get("security_opt") != ["no-new-privileges:true"]:
        yield "may gain privileges"
    if service.get("network_mode") or not service.get("networks"):
        yield "is in no network of ours"
    if not service.get("init") or service.get("restart") != ("no" if name in ONE_SHOTS else "unless-stopped"):
        yield "has no init or another restart policy"
    if not {"max-size", "max-file"} <= service.get("logging", {}).get("options", {}).keys():
        yield "logs without end"
    if service.get("read_only") is not (name not in WRITES_TO_ITS_ROOT):
        yield "has a writable root"
    if service.get("user") != RUNS_AS.get(name):
        yield "runs as another user than its image's"
    if name not in ONE_SHOTS and not service.get("healthcheck", {}).get("test"):
        yield "has no health check"


def test_every_service_is_pinned_confined_and_checked() -> None:
    assert list(_problems(COMPOSE)) == []


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (lambda one: one.update(image="redis"), "not pinned"),
        (lambda one: one.update(image="redis:latest"), "not pinned"),
        (lambda one: one.update(ports=["8000:8000"]), "publishes"),
        (lambda one: one.update(ports=["0.0.0.0:8000:8000"]), "publishes"),
        (lambda one: one.pop("mem_limit"), "has no mem_limit"),
        (lambda one: one.update(cap_add=["NET_ADMIN"]), "keeps capabilities"),
        (lambda one: one.update(privileged=True), "keeps capabilities"),
        (lambda one: one.pop("security_opt"), "may gain privileges"),
        (lambda one: one.update(network_mode="host"), "in no network of ours"),
        (lambda one: one.update(restart="always"), "another restart policy"),
        (lambda one: one.pop("logging"), "logs without end"),
        (lambda one: one.pop("read_only"), "writable root"),
        (lambda one: one.update(user="root"), "another user"),
        (lambda one: one.pop("healthcheck"), "no health check"),
        (lambda one: one.update(volumes=["/var/run/docker.sock:/docker.sock"]), "the engine's socket"),
    ],
)
def test_each_rule_can_be_broken(plant: Callable[[dict[str, Any]], object], told: str) -> None:
    changed = copy.deepcopy(COMPOSE)
    plant(changed["services"]["api"])
    assert told in "; ".join(_problems(changed))


def test_the_demo_shares_nothing_with_what_is_real() -> None:
    real: set[str] = set()
    sandbox: set[str] = set()
    for name, service in SERVICES.items():
        profiles = set(service["profiles"])
        assert (
            profiles == {"sandbox"}
            if name.startswith("sandbox-")
            else profiles <= {"paper", "live", "second", "console", "setup", "restore"}
        )
        belongings = sandbox if name.startswith("sandbox-") else real
        belongings |= {f"network {one}" for one in service["networks"]}
        belongings |= {f"volume {one.split(':')[0]}" for one in service.get("volumes", ()) if isinstance(one, str)}
        secrets = service.get("secrets", ())
        belongings |= {f"secret {one['source'] if isinstance(one, dict) else one}" for one in secrets}
    assert not real & sandbox
    assert {"secret sandbox-password", "network sandbox", "volume sandbox-postgres"} <= sandbox


def test_only_the_demos_doors_lead_out_of_its_network() -> None:
    doors = {name for name in SERVICES if set(SERVICES[name]["networks"]) - {"sandbox"} and name.startswith("sandbox-")}
    assert doors == {"sandbox-api", "sandbox-flower"}
    assert COMPOSE["networks"]["sandbox"]["internal"]


def test_each_service_gets_the_keys_and_networks_that_it_needs_and_no_others() -> None:
    real = {name: one for name, one in SERVICES.items() if not name.startswith("sandbox-")}
    given = {name: (set(one.get("secrets", ())), set(one["networks"])) for name, one in real.items()}
    assert given == NEEDS
    assert {name for name, one in COMPOSE["networks"].items() if one.get("internal")} >= {"ledger", "queue", "broker"}


def test_only_migrations_and_a_restore_are_the_owner_of_the_tables() -> None:
    assert {name for name in NEEDS if "owner@" in str(SERVICES[name])} == {"migrate", "restore"}
    assert {name for name, (keys, _) in NEEDS.items() if "database-owner-password" in keys} == {
        "migrate",
        "restore",
        "postgres",
    }
    for name in ("DATABASE_URL", "DATABASE_PASSWORD_FILE"):
        assert SERVICES["restore"]["environment"][name] == SERVICES["migrate"]["environment"][name]


def test_the_settings_file_goes_to_those_that_read_accounts_only() -> None:
    readers = {name for name, one in SERVICES.items() if "secrets/settings" in str(one.get("volumes"))}
    assert readers == READ_SETTINGS


def test_clear_text_is_allowed_to_the_stores_of_the_same_network_only() -> None:
    """By name: another host in DATABASE_URL or REDIS_URL has to speak TLS, or be named too."""
    for name in NEEDS:
        told = {key: text for key, text in _environment(name).items() if key.startswith("ALLOW_CLEAR")}
        assert told.items() <= {"ALLOW_CLEAR_DATABASE": "postgres", "ALLOW_CLEAR_REDIS": "redis"}.items()
        assert {"ledger" if "DATABASE" in key else "queue" for key in told} <= set(SERVICES[name]["networks"])


def test_every_variable_of_the_file_may_stand_in_env() -> None:
    known = {*setting_names(), *FOREIGN_KEYS}
    assert {name for name, _ in VARIABLE.findall(TEXT)} <= known


def _environment(name: str) -> dict[str, str]:
    return {key: _filled(str(value)) for key, value in SERVICES[name].get("environment", {}).items()}


@pytest.mark.parametrize("name", [name for name, one in SERVICES.items() if "env_file" in one])
def test_our_processes_get_settings_that_exist(name: str) -> None:
    allowed = {*setting_names(), ENV_FILE, "FLOWER_BASIC_AUTH", "FLOWER_BASIC_AUTH_FILE"}
    assert _environment(name).keys() - allowed == set()


@pytest.mark.parametrize("name", SERVICES)
def test_every_secret_that_is_read_is_handed_over(name: str) -> None:
    secrets = SERVICES[name].get("secrets", ())
    given = {one["target"] if isinstance(one, dict) else one for one in secrets}
    file = ROOT / "docker/sandbox.env" if SERVICES[name].get("env_file") == "docker/sandbox.env" else None
    told = str((_environment(name), SERVICES[name].get("command"), file and file.read_text(encoding="utf-8")))
    assert set(re.findall(r"/run/secrets/([a-z-]+)", told)) <= given


@pytest.mark.parametrize(("mode", "ports"), [("paper", PAPER_PORTS), ("live", LIVE_PORTS), ("sandbox", PAPER_PORTS)])
def test_one_setting_switches_mode_and_port(
    mode: str, ports: frozenset[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    text = (ROOT / f"docker/{mode}.env").read_text(encoding="utf-8").replace("/run/secrets", str(tmp_path))
    for secret in re.findall(rf"{tmp_path}/(\S+)", text):
        (tmp_path / secret).write_text("s" * 20)
    (tmp_path / ".env").write_text(text)
    monkeypatch.setenv("ENV_FILE", str(tmp_path / ".env"))
    settings = load_settings()
    assert settings.broker.trading_mode == ("live" if mode == "live" else "paper")
    assert settings.broker.ib_port in ports
    assert SERVICES["worker"]["env_file"] == "docker/${COMPOSE_PROFILES:-paper}.env"


def test_a_second_login_has_a_gateway_and_workers_by_a_profile_of_its_own() -> None:
    gateway, worker = SERVICES["ib-gateway-second"], SERVICES["worker-second"]
    assert gateway["profiles"] == worker["profiles"] == ["second"]
    assert "aliases" not in str(gateway["networks"])  # else the main workers might reach it as theirs
    assert gateway["command"][2] == "/gateway-log/second.log"
    assert worker["environment"]["WORKER_GATEWAY"] == "second"
    assert worker["depends_on"].keys() == {"migrate", "postgres", "redis", "ib-gateway-second"}
    assert worker["stop_grace_period"] == SERVICES["worker"]["stop_grace_period"]


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_a_second_login_changes_nothing_of_the_first_ones_mode(mode: str) -> None:
    """The file is named by COMPOSE_PROFILES, whole."""
    first, both = (ROOT / f"docker/{profiles}.env" for profiles in (mode, f"{mode},second"))
    assert both.read_text(encoding="utf-8") == first.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_the_gateways_are_what_their_profile_says(mode: str) -> None:
    gateway = SERVICES[f"ib-gateway-{mode}"]
    assert gateway["profiles"] == [mode]
    assert gateway["environment"]["TRADING_MODE"] == mode
    assert f"IB_PORT={gateway['healthcheck']['test'][-1]}\n" in (ROOT / f"docker/{mode}.env").read_text(
        encoding="utf-8"
    )


def _mounts(service: dict[str, Any]) -> dict[str, str]:
    """Named volumes by where they are in the container."""
    named = [one.split(":") for one in service.get("volumes", ()) if isinstance(one, str)]
    return {target: ":".join([source, *how]) for source, target, *how in named}


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_beat_reads_what_the_gateway_of_its_profile_says_and_nobody_else_does(mode: str) -> None:
    gateway = SERVICES[f"ib-gateway-{mode}"]
    told = f"/gateway-log/{mode}.log"
    assert gateway["command"] == ["bash", "/opt/gateway/start.sh", told, "/home/ibgateway/scripts/run.sh"]
    assert f"GATEWAY_LOG={told}\n" in (ROOT / f"docker/{mode}.env").read_text(encoding="utf-8")
    assert _mounts(gateway)["/gateway-log"] == "gateway-log"
    readers = {name: _mounts(one)["/gateway-log"] for name, one in SERVICES.items() if "/gateway-log" in _mounts(one)}
    assert readers.pop("beat") == "gateway-log:ro"
    assert readers.pop("sandbox-beat") == "sandbox-gateway-log:ro"
    assert set(readers) == {*WRITES_TO_ITS_ROOT, "sandbox-gateway"}
    assert all("size=1m" in COMPOSE["volumes"][one]["driver_opts"]["o"] for one in set(readers.values()))


def test_the_demos_beat_reads_its_gateways_login() -> None:
    assert (
        f"--login-log={SERVICES['sandbox-beat']['environment']['GATEWAY_LOG']}"
        in SERVICES["sandbox-gateway"]["command"]
    )


def test_each_login_keeps_its_own_settings_and_nobody_else_has_them() -> None:
    where = {
        str(PurePosixPath(SERVICES[name]["environment"]["TWS_SETTINGS_PATH"]).parent) for name in WRITES_TO_ITS_ROOT
    }
    found = {name: _mounts(one)[folder] for folder in where for name, one in SERVICES.items() if folder in _mounts(one)}
    assert found == {f"ib-gateway-{mode}": f"gateway-{mode}" for mode in ("paper", "live", "second")}


def test_the_restart_window_follows_the_gateways_restart() -> None:
    login = SERVICES["ib-gateway-paper"]["environment"]
    told = f"{login['AUTO_RESTART_TIME']} {login['TIME_ZONE']}"
    ours = {name for name, one in SERVICES.items() if one.get("environment", {}).get("GATEWAY_RESTART")}
    assert ours == {"listener", "worker", "worker-second", "beat", "api", "console"}
    assert {SERVICES[name]["environment"]["GATEWAY_RESTART"] for name in ours} == {told}
    settings = Settings.from_flat({"gateway_restart": _filled(told)})
    assert str(settings.orders.daily_restart_window) == "23:40-23:55 America/New_York"


def test_the_other_image_changes_nothing_but_how_the_gateway_logs_in() -> None:
    other = yaml.safe_load((ROOT / "docker/compose.ibg-controller.yaml").read_text(encoding="utf-8"))
    assert other["services"].keys() == WRITES_TO_ITS_ROOT
    for service in other["services"].values():
        assert service.keys() == {"image", "environment", "stop_grace_period"}
        assert re.fullmatch(
            r"\$\{IB_GATEWAY_IMAGE:-ghcr\.io/code-hustler-ft3d/ibg-controller:v\d+\.\d+\.\d+\}", service["image"]
        )


def test_a_worker_may_finish_its_run() -> None:
    assert SERVICES["worker"]["stop_grace_period"] == f"{WORKER_STOP_S // 60}m"


def test_what_a_run_needs_is_stopped_after_the_worker() -> None:
    """Compose stops in the reverse of the order of starting."""
    gateways = {"ib-gateway-paper", "ib-gateway-live"}
    assert SERVICES["worker"]["depends_on"].keys() == {"migrate", "postgres", "redis", *gateways}
    assert not any(SERVICES["worker"]["depends_on"][one]["required"] for one in gateways)
    assert SERVICES["sandbox-worker"]["depends_on"].keys() >= {
        f"sandbox-{one}" for one in ("postgres", "redis", "gateway", "allocations")
    }


@pytest.mark.parametrize("role", ["worker", "beat", "listener", "api", "flower"])
@pytest.mark.parametrize("prefix", ["", "sandbox-"])
def test_each_role_proves_itself(prefix: str, role: str) -> None:
    """By docker/healthy.sh, which starts no interpreter."""
    service = SERVICES[f"{prefix}{role}"]
    answers = {"api": "${API_PORT:-8000}", "flower": "${FLOWER_PORT:-5555}"}
    how = ["answers", answers[role]] if role in answers else ["proof", "40"]
    assert service["healthcheck"]["test"][: 2 + len(how)] == ["CMD", "healthy", *how]


def test_our_images_carry_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    images = {_filled(one["image"]) for one in SERVICES.values()}
    ours = {image for image in images if image.startswith("ibkr-rebalancer")}
    assert ours == {f"ibkr-rebalancer{kind}:{version}" for kind in ("", "-sandbox", "-redis")}


def test_secrets_lie_in_one_folder_that_git_ignores() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/secrets/", "/config/"} <= set(ignored)
    files = {name: one["file"] for name, one in COMPOSE["secrets"].items()}
    assert files.pop("sandbox-password") == "./docker/sandbox-password"
    assert files == {name: f"./secrets/{name}" for name in files}
