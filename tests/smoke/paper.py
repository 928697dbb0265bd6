"""A deployment for paper trading as docs/deployment.md has it, with a stand-in for the image of the IB Gateway."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.smoke.engine import ROOT, SANDBOX_IMAGE, run, until
from tests.smoke.stack import STRATEGY, Stack, service_of

KEY_FOLDER = "/run/secrets/"
GATEWAY_IMAGE = "gateway-stand-in:1"
CHECKOUT = ("docker-compose.yaml", "docker", "Makefile", "pyproject.toml", "accounts.yaml", "replacement-sets.yaml")
KEYS = {
    "realtime-api-key": "sandbox.local:stand-in",
    "allocations-api-key": "sandbox",
    "ib-password": "smoke",
    "ib-password-second": "smoke",
}
SETTINGS = """
REALTIME_ENDPOINT=ably.sandbox:8080
REALTIME_TLS=false
ALLOW_CLEAR_REALTIME=ably.sandbox
ALLOCATIONS_BASE_URL=http://sandbox-allocations:8090
ALLOW_CLEAR_ALLOCATIONS=sandbox-allocations
"""
OUTSIDE = """
services:
  sandbox-ably: {profiles: [paper, live], networks: {outside: {aliases: [ably.sandbox]}}}
  sandbox-allocations: {profiles: [paper, live], networks: [outside]}
"""
"""Ably and the provider stand where the Internet would be; nothing else differs from what the documents say."""


class Paper(Stack):
    """What stands outside is the sandbox's. What is started its ``.env`` says."""

    gateway_service = "ib-gateway-paper"

    def publish(self, payload: str) -> None:
        """From the gateway's container: its stand-in has the program, and stands outside too."""
        settings = (*SETTINGS.split(), f"REALTIME_API_KEY={KEYS['realtime-api-key']}")
        command = ("env", *settings, "rebalancer", "sandbox", "publish", STRATEGY, payload)
        self.published.add(self.inside(self.gateway_service, *command).strip())

    def belongings(self) -> dict[str, tuple[set[str], set[str]]]:
        """Keys and networks of each container that is the product's, by service."""
        found = {}
        for one in self.containers("--all"):
            targets = [mount["Destination"] for mount in one["Mounts"]]
            keys = {target.removeprefix(KEY_FOLDER) for target in targets if target.startswith(KEY_FOLDER)}
            networks = {name.removeprefix(f"{self.project}_") for name in one["NetworkSettings"]["Networks"]}
            found[service_of(one)] = keys, networks
        return {name: what for name, what in found.items() if not name.startswith("sandbox-")}

    def console(self, *command: str) -> str:
        """Output of a command in the one-shot console."""
        return self.compose("run", "--rm", "-T", "console", *command)

    def told_by_doctor(self) -> str:
        """What it says, whatever its exit code is."""
        return self.console("sh", "-c", "rebalancer doctor || true")


def prepare(folder: Path, settings: str = "") -> None:
    """What an owner has made of a checkout after `make secrets` and with his own keys.

    Args:
        settings: lines of the settings file, beside those that name what stands outside.
    """
    run("make", "secrets", folder=folder)
    for name, text in KEYS.items():
        (folder / "secrets" / name).write_text(text)
    (folder / "secrets/settings/settings.env").write_text(SETTINGS + settings)
    (folder / "docker-compose.override.yaml").write_text(OUTSIDE)


def copy_checkout(folder: Path) -> None:
    """Today's files into a folder, over those that are there, as a pull does."""
    for name in CHECKOUT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / name, folder / name)


P = TypeVar("P", bound=Paper)


@contextmanager
def running(kind: type[P], project: str, folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[P]:
    """It runs and is healthy, and is removed with its volumes afterwards."""
    image = f"SANDBOX_IMAGE={SANDBOX_IMAGE}"
    run("docker", "build", "--build-arg", image, "--tag", GATEWAY_IMAGE, str(ROOT / "tests/smoke/gateway"))
    made = kind(project, folder, None, {"IB_GATEWAY_IMAGE": GATEWAY_IMAGE, **(environment or {})})
    made.compose("down", "--volumes", "--timeout", "5")
    try:
        made.compose("up", "--detach")
        until(lambda: not made.unhealthy(), 240, made.unhealthy)
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "20")
