"""What other people wrote and we serve is what they published, licences included."""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "api/web/static/swagger-ui"
PUBLISHED = dict(reversed(line.split()) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())


def test_every_vendored_file_is_unchanged() -> None:
    found = {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in PUBLISHED}
    assert found == PUBLISHED
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} <= found.keys()


def test_nothing_else_is_among_them() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*PUBLISHED, "README.md", "SHA256SUMS"}
