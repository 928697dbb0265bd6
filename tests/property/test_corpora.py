"""Whatever bytes of chance once found stays mended: each corpus is read again."""

from __future__ import annotations

import subprocess
import warnings

import pytest

from tests.conftest import ROOT
from tests.fuzz.targets import TARGETS

CORPUS = ROOT / "tests/fuzz/corpus"
LARGEST = 10_000


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_reads_or_refuses_whatever_arrives(name: str) -> None:
    for path in sorted((CORPUS / name).iterdir()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a library thinks of such input is not the point
            TARGETS[name](path.read_bytes())


def test_every_decoder_has_seeds_and_they_are_small() -> None:
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()
    assert [path for path in CORPUS.rglob("*") if path.is_file() and path.stat().st_size > LARGEST] == []


def test_the_target_of_make_feeds_every_decoder() -> None:
    """Which it knows by their corpora: see above."""
    recipe = subprocess.run(["make", "-n", "fuzz", "SECONDS=7"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    assert "-m tests.fuzz.every 7 build/fuzz" in recipe.stdout
