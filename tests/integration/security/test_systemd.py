"""The unit files: systemd understands every line, what they start exists, and a broken program can do little."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rebalancer.config.settings import setting_names
from rebalancer.runner.programs import WORKER_STOP_S
from tests.conftest import ROOT

UNITS = ROOT / "deploy/systemd"
COMPOSE_UNIT = ROOT / "deploy/docker/rebalancer-compose.service"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
WORST = "20"
"""Tenths of systemd's own measure: 0 is best, 100 a service without any protection."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as on a machine on which this checkout and environment are the installation."""
    if shutil.which("systemd-analyze") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd-analyze is missing: install systemd")
    folder = tmp_path_factory.mktemp("units") / "system"
    shutil.copytree(UNITS, folder)
    for path in (path for path in folder.rglob("*") if path.is_file()):
        here = path.read_text().replace("/opt/rebalancer/.venv/bin", str(Path(sys.executable).parent))
        path.write_text(here.replace("/opt/rebalancer", str(ROOT)))
    return folder


def analyze(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and words of `systemd-analyze`, with no other units than those of the folder."""
    done = subprocess.run(
        ["systemd-analyze", *arguments],  # noqa: S607
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def verified(folder: Path) -> tuple[int, str]:
    units = [str(path) for path in sorted(folder.iterdir()) if path.is_file()]
    return analyze(folder, "verify", "--man=no", *units)


def test_systemd_understands_every_line_and_finds_every_program(installed: Path) -> None:
    assert verified(installed) == (0, "")


@pytest.mark.parametrize(
    ("unit", "mistake", "words"),
    [
        ("rebalancer-beat.service", ("Restart=always", "Restrat=always"), "Unknown key"),
        ("rebalancer-api.service", ("/python -m api ", "/no-such-program "), "not executable"),
        ("rebalancer-.service.d/common.conf", ("ProtectSystem=strict", "ProtectSystem=rather"), "Failed to parse"),
        ("rebalancer-backup.timer", ("04:30:00 UTC", "25:30:00"), "Failed to parse"),
    ],
)
def test_a_mistake_would_be_noticed(
    installed: Path, tmp_path: Path, unit: str, mistake: tuple[str, str], words: str
) -> None:
    shutil.copytree(installed, tmp_path / "system")
    broken = tmp_path / "system" / unit
    assert mistake[0] in broken.read_text()
    broken.write_text(broken.read_text().replace(*mistake))
    assert words in verified(tmp_path / "system")[1]


@pytest.mark.parametrize("service", SERVICES)
def test_a_broken_program_can_do_little(installed: Path, service: str) -> None:
    code, said = analyze(installed, "security", "--offline=yes", f"--threshold={WORST}", str(installed / service))
    assert code == 0, said


def test_every_process_of_the_stack_has_a_unit_that_the_target_starts() -> None:
    wanted = (UNITS / "rebalancer.target").read_text()
    for name in (
        "listener.service",
        "worker@1.service",
        "beat.service",
        "api.service",
        "flower.service",
        "backup.timer",
    ):
        assert f"rebalancer-{name}" in wanted
    started = {name for name in SERVICES if "Restart=always" in (UNITS / name).read_text()}
    ending = {f"rebalancer-{name}.service" for name in ("migrate", "backup", "doctor")}
    assert set(SERVICES) - started == ending
    assert all("Requires=rebalancer-migrate.service" in (UNITS / name).read_text() for name in started)


def test_a_run_is_given_its_time_and_only_the_worker_itself_hears_the_signal() -> None:
    worker = (UNITS / "rebalancer-worker@.service").read_text()
    assert f"TimeoutStopSec={WORKER_STOP_S // 60}min" in worker
    assert "KillMode=mixed" in worker


def test_what_a_run_needs_is_stopped_after_it() -> None:
    """systemd stops in the reverse of the order of starting, at a reboot too."""
    common = (UNITS / "rebalancer-.service.d/common.conf").read_text()
    assert {"postgresql.service", "redis-server.service", "network-online.target"} <= _after(common)
    assert {"ib-gateway.service", "docker.service"} <= _after((UNITS / "rebalancer-worker@.service").read_text())
    compose = COMPOSE_UNIT.read_text()
    assert "docker.service" in _after(compose)
    assert "ExecStop=/usr/bin/docker compose stop\n" in compose
    minutes = re.search(r"^TimeoutStopSec=(\d+)min$", compose, re.MULTILINE)
    assert minutes is not None
    assert int(minutes[1]) * 60 > WORKER_STOP_S


def _after(text: str) -> set[str]:
    return {unit for line in re.findall(r"^After=(.*)$", text, re.MULTILINE) for unit in line.split()}


def test_systemd_understands_the_unit_of_the_containers(tmp_path: Path) -> None:
    unit = tmp_path / COMPOSE_UNIT.name
    text = COMPOSE_UNIT.read_text().replace("/usr/bin/docker", "/bin/true")
    unit.write_text(text.replace("/opt/rebalancer\n", f"{tmp_path}\n"))
    (tmp_path / "docker.service").write_text("[Service]\nExecStart=/bin/true\n")
    assert analyze(tmp_path, "verify", "--man=no", str(unit)) == (0, "")


def test_the_migrations_alone_run_as_the_owner() -> None:
    """Drop-ins are read in the order of their names: the owner's corrects the common one."""
    owner = UNITS / "rebalancer-migrate.service.d/owner.conf"
    assert owner.name > "common.conf"
    assert "User=rebalancer-owner" in owner.read_text()
    assert [path.name for path in UNITS.rglob("*") if path.is_file() and "-owner" in path.read_text()] == [owner.name]


KEYS = {
    "rebalancer-listener.service": {"realtime-api-key", "allocations-api-key"},
    "rebalancer-worker@.service": {"allocations-api-key"},
    "rebalancer-beat.service": set(),
    "rebalancer-api.service": {"management-api-key"},
    "rebalancer-flower.service": set(),
    "rebalancer-migrate.service": set(),
    "rebalancer-backup.service": {"backup-key"},
    "rebalancer-doctor.service": {"realtime-api-key", "allocations-api-key", "management-api-key"},
}
"""What each unit loads from a folder that only root can enter; systemd shows it to that unit alone."""
AT_HOME = {f"rebalancer-{name}.service" for name in ("api", "flower", "migrate", "backup")}


@pytest.mark.parametrize("service", SERVICES)
def test_each_unit_gets_the_keys_that_it_needs_and_no_others(service: str) -> None:
    text = (UNITS / service).read_text()
    loaded = dict(re.findall(r"^LoadCredential=([a-z-]+):(\S+)$", text, re.MULTILINE))
    assert loaded == {name: f"/etc/rebalancer/secrets/{name}" for name in KEYS[service]}
    told = dict(re.findall(r"([A-Z_]+_FILE)=%d/([a-z-]+)", text))
    assert told == {f"{name.upper().replace('-', '_')}_FILE": name for name in KEYS[service]}
    assert told.keys() <= setting_names()


@pytest.mark.parametrize("service", SERVICES)
def test_who_has_no_business_outside_gets_no_way_there(service: str) -> None:
    text = (UNITS / service).read_text()
    assert ("IPAddressDeny=any\nIPAddressAllow=localhost\n" in text) == (service in AT_HOME)


def test_what_any_unit_writes_is_its_owners_alone() -> None:
    common = (UNITS / "rebalancer-.service.d/common.conf").read_text()
    assert {"UMask=0077", "StateDirectoryMode=0700"} <= set(common.splitlines())
    assert [path.name for path in UNITS.rglob("*") if path.is_file() and "UMask" in path.read_text()] == ["common.conf"]
