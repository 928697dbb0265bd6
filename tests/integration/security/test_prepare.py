"""`make secrets`: keys of chance, readable for the containers and for nobody else on the machine, made once."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from rebalancer.config.foreign_keys import FOREIGN_KEYS
from rebalancer.config.settings import load_settings
from tests.conftest import ROOT

SCRIPTS = ("docker/gateway/healthy.sh", "docker/gateway/start.sh")
FILES = ("docker-compose.yaml", "docker/prepare.sh", *SCRIPTS, "accounts.yaml", "replacement-sets.yaml")
VARIABLE = re.compile(r"\$\{([A-Z_]+)")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def prepare(checkout: Path, umask: int = 0o022) -> str:
    done = subprocess.run(
        ["sh", "docker/prepare.sh"],  # noqa: S607
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def modes(checkout: Path) -> dict[str, str]:
    return {str(path.relative_to(checkout)): oct(path.stat().st_mode & 0o777) for path in checkout.rglob("*")}


def lines(path: Path) -> Mapping[str, str]:
    found = (line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name: text for name, _, text in found}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_reads_a_key_and_the_containers_can(checkout: Path, umask: int) -> None:
    for script in SCRIPTS:
        (checkout / script).chmod(0o600)
    prepare(checkout, umask)
    found = modes(checkout)
    assert (found["secrets"], found[".env"]) == ("0o700", "0o600")
    folders = {"config", "secrets/settings"}
    inside = {mode for name, mode in found.items() if name.startswith(("secrets/", "config/")) and name not in folders}
    assert inside == {"0o644"}
    assert {found[name] for name in folders} == {"0o755"}
    assert {found[name] for name in SCRIPTS} == {"0o644"}


def test_an_env_that_was_open_is_closed(checkout: Path) -> None:
    (checkout / ".env").write_text("COMPOSE_PROFILES=live\n")
    (checkout / ".env").chmod(0o644)
    prepare(checkout)
    assert modes(checkout)[".env"] == "0o600"


def test_all_that_compose_mounts_is_there_and_stays(checkout: Path) -> None:
    prepare(checkout)
    declared = {one["file"] for one in yaml.safe_load((checkout / FILES[0]).read_text())["secrets"].values()}
    assert {name for name in declared - {"./docker/sandbox-password"} if not (checkout / name).exists()} == set()
    before = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}
    prepare(checkout)
    assert {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()} == before
    assert len(before[checkout / "secrets/backup-key"].strip()) >= 32


def test_settings_of_an_earlier_release_move_to_where_containers_may_read_them(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is lost, and what is Compose's stays with Compose."""
    (checkout / ".env").write_text(
        "# mine\nCOMPOSE_PROFILES=live\nMAX_ORDER_USD=5000\nIB_USERNAME=me\nIB_PASSWORD=x\nNOTIFY_URLS=a=ntfys://t\n"
    )
    prepare(checkout)
    kept = {"COMPOSE_PROFILES": "live", "IB_USERNAME": "me", "IB_PASSWORD": "x"}
    assert lines(checkout / ".env").items() >= kept.items()
    assert dict(lines(checkout / "secrets/settings/settings.env")) == {
        "MAX_ORDER_USD": "5000",
        "NOTIFY_URLS": "a=ntfys://t",
    }
    monkeypatch.setenv("ENV_FILE", str(checkout / "secrets/settings/settings.env"))
    assert load_settings().risk.max_order_usd == 5000


def test_a_deployment_keeps_its_name_when_its_folder_gets_another(checkout: Path) -> None:
    """As Compose would have named it: else it would start with an empty ledger."""
    before = checkout.rename(checkout.with_name("-My.Evening_1"))
    prepare(before)
    after = before.rename(before.with_name("other"))
    prepare(after)
    assert lines(after / ".env")["COMPOSE_PROJECT_NAME"] == "myevening_1"
    assert (after / ".env").read_text().count("COMPOSE_PROJECT_NAME") == 1


def test_a_settings_file_of_an_earlier_release_moves_into_its_folder(checkout: Path) -> None:
    (checkout / "secrets").mkdir()
    (checkout / "secrets/settings.env").write_text("MAX_ORDER_USD=5000\n")
    prepare(checkout)
    assert lines(checkout / "secrets/settings/settings.env") == {"MAX_ORDER_USD": "5000"}


def test_a_setting_that_nobody_would_read_is_told(checkout: Path) -> None:
    prepare(checkout)
    with (checkout / ".env").open("a") as file:
        file.write("MAX_ORDER_USD=5000\n")
    assert "move to secrets/settings/settings.env, since nobody reads it in .env: MAX_ORDER_USD" in prepare(checkout)


def test_every_name_that_compose_fills_in_stays_with_compose(checkout: Path) -> None:
    names = VARIABLE.findall((checkout / FILES[0]).read_text())
    (checkout / ".env").write_text("".join(f"{name}=x\n" for name in sorted({*names, *FOREIGN_KEYS})))
    prepare(checkout)
    assert lines(checkout / "secrets/settings/settings.env") == {}
