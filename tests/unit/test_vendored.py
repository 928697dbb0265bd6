"""What other people wrote and we serve is what they published, licences included."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "api/web/static"
LICENCES = {"swagger-ui": {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"}, "uplot": {"LICENSE"}}


def published(name: str) -> dict[str, str]:
    return dict(reversed(line.split()) for line in (STATIC / name / "SHA256SUMS").read_text().splitlines())


def test_every_folder_of_others_is_looked_at() -> None:
    assert {path.name for path in STATIC.iterdir() if path.is_dir()} == set(LICENCES)


@pytest.mark.parametrize("name", LICENCES)
def test_every_vendored_file_is_unchanged(name: str) -> None:
    files = published(name)
    found = {file: hashlib.sha256((STATIC / name / file).read_bytes()).hexdigest() for file in files}
    assert found == files
    assert found.keys() >= LICENCES[name]


@pytest.mark.parametrize("name", LICENCES)
def test_nothing_else_is_among_them(name: str) -> None:
    assert {path.name for path in (STATIC / name).iterdir()} == {*published(name), "README.md", "SHA256SUMS"}
