"""What is installed is what the lock file pins by hash, under licences that allow it; all without a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[\w,]+\])?==(\S+)(.*)$")
NOT_FROM_THE_LOCK = {"ibkr-rebalancer", "pip", "setuptools", "wheel"}
ALLOWED = {
    *(
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Unlicense",
        "Zlib",
    ),
    *("Apache Software License", "Apache 2", "Apache 2.0", "BSD", "BSD License", "BSD 2-Clause License", "New BSD"),
    *("ISC License", "ISC License (ISCL)", "MIT License", "MIT license", "The MIT License (MIT)"),
    *("Python Software Foundation License", "PSFL", "The Unlicense (Unlicense)"),
}
"""Licences that let anybody use and pass on, as SPDX and as classifiers write them."""
SAYS_NOTHING = {"", "UNKNOWN", "DFSG approved", "Dual License"}
LOOKED_AT = {
    "aeventkit": "BSD-2-Clause in its LICENSE, beside a classifier that says otherwise; ib_async needs it",
    "atheris": "Apache-2.0 in its LICENSE; tests only",
    "axe-playwright-python": "MIT in its repository; tests only",
    "certifi": "MPL-2.0: Mozilla's list of authorities, passed on unchanged",
    "fqdn": "MPL-2.0, unchanged; makes the list of an image's parts, and is in none",
    "hypothesis": "MPL-2.0, unchanged; tests only",
    "ib-async": "BSD-2-Clause in its LICENSE, beside a classifier that says otherwise",
    "pathspec": "MPL-2.0, unchanged; builds and tests only",
    "pillow": "MIT-CMU, which asks for the notice alone; ReportLab needs it",
    "promql-parser": "MIT in its LICENSE; tests only",
    "psycopg2-binary": "LGPL with exceptions: used as a library, which anybody may replace",
    "pyrage": "MIT in its LICENSE",
    "reportlab": "BSD-3-Clause in its LICENSE; its metadata name its holder too",
    "supervisor": "BSD-derived, as its LICENSES.txt says: it asks for the notice",
}
"""Packages whose metadata do not say an allowed licence, and what a person who looked found instead."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: Path) -> dict[str, set[str]]:
    """Versions by name; more than one where they differ by platform."""
    found: dict[str, set[str]] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if pin := PIN.match(line):
            found.setdefault(canonical(pin[1]), set()).add(pin[2])
    return found


def licences(one: Distribution) -> set[str]:
    """Every licence that the metadata name, whether with AND or with OR: each has to be allowed."""
    said = one.metadata.get_all("Classifier") or []
    classifiers = [text.rpartition("::")[2] for text in said if text.startswith("License ::")]
    short = (one.metadata.get("License") or "").partition("\n")[0]
    expression = re.split(r"\s+(?:AND|OR)\s+", (one.metadata.get("License-Expression") or "").strip("()"))
    parts = [*expression, *classifiers, *re.split(r"\s+(?:AND|OR)\s+", short)]
    return {part.strip() for part in parts} - SAYS_NOTHING


def is_allowed(names: set[str]) -> bool:
    return bool(names) and names <= ALLOWED


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
    unclear = {name: licences(one) for name, one in INSTALLED.items() if not is_allowed(licences(one))}
    assert unclear.keys() - LOOKED_AT.keys() == set(), f"{unclear}: look at them, and leave them out or say why"
    assert LOOKED_AT.keys() - unclear.keys() - _elsewhere() == set(), "nobody has to look at these any more"


def _elsewhere() -> set[str]:
    """Pinned, but not for this platform or Python."""
    return pins(ROOT / "requirements-dev.lock").keys() - INSTALLED.keys()


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        ({"MIT"}, True),
        ({"MIT", "Apache-2.0"}, True),
        (set(), False),
        ({"GPL-3.0-or-later"}, False),
        ({"MIT", "GPL-3.0-only"}, False),
        ({"BSD", "Other/Proprietary License"}, False),
        ({"MIT-like, but not for funds"}, False),
    ],
)
def test_what_is_not_on_the_list_is_not_allowed(names: set[str], allowed: bool) -> None:
    assert is_allowed(names) is allowed


def test_an_audit_that_could_not_look_fails() -> None:
    """A mirror that lacks a package's records once made it say "no known vulnerabilities" of 2 of 75."""
    recipe = subprocess.run(["make", "-n", "audit"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    assert "pip-audit --strict " in recipe
    shipped = {"requirements.lock", "requirements-build.lock", "requirements-sbom.lock"}
    assert set(re.findall(r"-r (\S+)", recipe)) >= shipped


def test_each_image_says_what_is_in_it() -> None:
    """Of exactly what was installed into it, by a tool that is not in it."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM|\Z)", text, re.MULTILINE | re.DOTALL))
    for image in ("product", "sandbox"):
        assert "cyclonedx-py environment" in stages[f"{image}-contents"]
        assert "/opt/rebalancer/sbom.cdx.json" in stages[f"{image}-contents"]
        assert f"COPY --from={image}-contents /above/opt/rebalancer /opt/rebalancer" in stages[image]
        assert "/opt/sbom" not in stages[image]


def test_the_list_of_parts_names_each_with_version_and_licence(tmp_path: Path) -> None:
    tool = Path(sys.executable).with_name("cyclonedx-py")
    # The form, which takes long, is validated where an image is built.
    options = ("environment", "--no-validate", "--output-reproducible", "--pyproject", str(ROOT / "pyproject.toml"))
    file = tmp_path / "sbom.json"
    subprocess.run([str(tool), *options, "--output-file", str(file), sys.executable], check=True, capture_output=True)
    listed = json.loads(file.read_text())
    assert listed["bomFormat"] == "CycloneDX"
    assert listed["metadata"]["component"]["name"] == "ibkr-rebalancer"
    found = {canonical(one["name"]): one for one in listed["components"]}
    needed = pins(ROOT / "requirements.lock").keys() & INSTALLED.keys()
    assert needed - found.keys() == set()
    assert {name for name in needed if found[name]["version"] != INSTALLED[name].version} == set()
    assert {name for name in needed if not found[name].get("licenses")} <= LOOKED_AT.keys()
