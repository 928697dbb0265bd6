"""What is installed is what the lock file pins by hash, under licences that allow it; all without a network."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[\w,]+\])?==(\S+)(.*)$")
NOT_FROM_THE_LOCK = {"ibkr-rebalancer", "pip", "setuptools", "wheel"}
FREE = re.compile(
    r"\b(0BSD|Apache|BSD|CC0|ISC|MIT|MIT-0|MPL|Mozilla|PSF|Python Software Foundation|Zlib|Unlicense)\b", re.IGNORECASE
)
LOOKED_AT = {
    "axe-playwright-python": "MIT in its repository; tests only",
    "psycopg2-binary": "LGPL, used as a library",
}
"""Packages whose metadata do not say it, or that a person has judged."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: Path) -> dict[str, set[str]]:
    """Versions by name; more than one where they differ by platform."""
    found: dict[str, set[str]] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if pin := PIN.match(line):
            found.setdefault(canonical(pin[1]), set()).add(pin[2])
    return found


def licence(one: Distribution) -> str:
    """Everything that the metadata say of it."""
    said = one.metadata.get_all("Classifier") or []
    classifiers = [text.rpartition("::")[2] for text in said if text.startswith("License ::")]
    short = (one.metadata.get("License") or "").partition("\n")[0]
    return "; ".join([one.metadata.get("License-Expression") or "", *classifiers, short])


INSTALLED = {canonical(one.metadata["Name"]): one for one in distributions()}


def test_everything_installed_is_what_the_lock_file_pins() -> None:
    pinned = pins(ROOT / "requirements-dev.lock")
    strange = {name: one.version for name, one in INSTALLED.items() if one.version not in pinned.get(name, ())}
    assert set(strange) <= NOT_FROM_THE_LOCK, f"{strange}: make clean, or add them to pyproject.toml and make lock"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_names_its_hashes_and_no_index(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    requirements = [block for block in re.split(r"\n(?=\S)", text) if not block.startswith("#")]
    assert requirements
    assert [block.splitlines()[0] for block in requirements if "--hash=sha256:" not in block] == []
    assert not re.search(r"--(extra-)?index-url|https?://|git\+", text)


def test_the_parts_of_the_program_are_the_tested_ones() -> None:
    """The image, the sandbox and the smoke tests install no other version than the one that the suite ran with."""
    tested = pins(ROOT / "requirements-dev.lock")
    others = {lock.name: pins(lock) for lock in LOCKS}
    differing = {
        f"{name} in {lock}": versions - tested[name]
        for lock, known in others.items()
        for name, versions in known.items()
        if name in tested and versions - tested[name]
    }
    assert differing == {}


def test_licences_allow_to_use_and_pass_on() -> None:
    unclear = {name: licence(one) for name, one in INSTALLED.items() if not FREE.search(licence(one))}
    assert unclear.keys() == LOOKED_AT.keys(), unclear
