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
