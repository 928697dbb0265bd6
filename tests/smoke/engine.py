"""The Docker engine and the project's images; without an engine everything here is skipped, and says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
SANDBOX_IMAGE = f"ibkr-rebalancer-sandbox:{VERSION}"
POSTGRES_IMAGE = os.environ.get("POSTGRES_IMAGE", "postgres:15-bookworm")
REDIS_IMAGE = os.environ.get("REDIS_IMAGE", "redis:7-bookworm")


def why_not() -> str | None:
    """Why nothing can be tested here; ``None`` when an engine answers."""
    if shutil.which("docker") is None:
        return "there is no docker command on this machine"
    asked = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    return None if asked.returncode == 0 else f"no Docker engine answers: {asked.stderr.strip().splitlines()[-1]}"


def compose_command() -> tuple[str, ...]:
    """`docker compose`, or its predecessor where only that is installed."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ("docker", "compose") if plugin.returncode == 0 else ("docker-compose",)


def run(
    *command: str, folder: Path = ROOT, environment: Mapping[str, str] | None = None, timeout_s: float = 300
) -> str:
    """Output of a command that has to succeed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build_images() -> None:
    """All images from this checkout; BUILD_FLAGS in the environment goes to `docker build`."""
    flags = os.environ.get("BUILD_FLAGS", "")
    run("make", "image", f"BUILD_FLAGS={flags}", timeout_s=1800)


def until(condition: Callable[[], bool], deadline_s: float, describe: Callable[[], object] = str) -> None:
    """Wait for something that a container brings about."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"did not happen within {deadline_s} s: {describe()}"
        time.sleep(0.2)


def archive(ref: str, paths: Sequence[str]) -> bytes:
    """A tar of files as they were in an older commit."""
    return subprocess.run(["git", "archive", ref, *paths], cwd=ROOT, capture_output=True, check=True).stdout
