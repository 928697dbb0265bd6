"""The Dockerfile installs only what is pinned, as nobody special, from files that reach the engine."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_all_that_is_copied_reaches_the_engine_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    wanted = {name for line in copied for name in line.split()}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == wanted
    assert "*" in ignored


def test_the_image_installs_nothing_without_its_hash_and_runs_as_nobody_special() -> None:
    installs = re.findall(r"pip \S+ \S+ install (.*)|pip install (.*)|pip wheel (.*)", DOCKERFILE)
    assert len(installs) == 6
    assert all("--require-hashes" in "".join(one) or "--no-deps" in "".join(one) for one in installs)
    stages = [re.findall(r"^USER (.*)$", stage, re.MULTILINE) for stage in DOCKERFILE.split("\nFROM ")]
    assert {users[-1] for users in stages if users} == {"10001:10001"}


def test_the_images_leave_numpy_out_wherever_a_lock_brings_it() -> None:
    """A third of what is installed, for one module that nobody uses: unit/test_ibkr_eventkit.py."""
    installing = [step for step in re.findall(r"^RUN (?:.*\\\n)*.*$", DOCKERFILE, re.MULTILINE) if "-r" in step]
    bring = [step for step in installing if any("numpy==" in (ROOT / lock).read_text() for lock in _locks(step))]
    assert len(bring) == 2
    assert all("pip --python /opt/rebalancer/bin/python uninstall --yes numpy" in step for step in bring)


def test_the_images_share_their_packages_and_a_release_is_a_layer_above_them() -> None:
    stages = dict(re.findall(r"^FROM (\S+ AS \S+)\n(.*?)(?=^FROM|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL))
    assert {"base AS product", "base AS sandbox"} <= stages.keys()
    below = stages["${PYTHON_IMAGE} AS base"]
    assert re.findall(r"^COPY (.*)$", below, re.MULTILINE)[0] == "--from=packages /opt/rebalancer /opt/rebalancer"
    packages = stages["${PYTHON_IMAGE} AS packages"]
    assert re.findall(r"^COPY (.*)$", packages, re.MULTILINE) == ["requirements.lock ./"]
    assert packages.rstrip().endswith("&& touch /packages")


def _locks(step: str) -> list[str]:
    return re.findall(r"-r (\S+\.lock)", step)
