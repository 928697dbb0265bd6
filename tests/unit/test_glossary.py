"""docs/glossary.md names what exists: each word is at home in the code, and no value is left out."""

from __future__ import annotations

import pkgutil
import re
from enum import StrEnum
from importlib import import_module
from pathlib import Path

import pytest

import rebalancer.domain
import rebalancer.ledger
import rebalancer.planning
import rebalancer.replay
import rebalancer.returns

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "glossary.md").read_text(encoding="utf-8")
ROWS = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in TEXT.splitlines() if line[:2] == "| "]
WORDS = [row for row in ROWS if row[2].startswith("`rebalancer.") or row[2].startswith("`tasks.")]
VALUES = {row[0].strip("`"): row[2] for row in ROWS if row[0].startswith("`rebalancer.")}


def enumerations() -> set[str]:
    """Every list of values that the domain, the ledger or a pure room of figures has."""
    found = set()
    rooms = (rebalancer.domain, rebalancer.ledger, rebalancer.planning, rebalancer.replay, rebalancer.returns)
    for package in rooms:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, thing in vars(import_module(module.name)).items():
                if isinstance(thing, type) and issubclass(thing, StrEnum) and thing.__module__ == module.name:
                    found.add(f"{module.name}.{name}")
    return found


@pytest.mark.parametrize(("word", "_meaning", "home"), WORDS, ids=[row[0] for row in WORDS])
def test_every_word_is_at_home_in_the_code(word: str, _meaning: str, home: str) -> None:
    assert pkgutil.resolve_name(home.strip("`")) is not None, word


def test_every_row_is_a_word_or_a_list() -> None:
    headings = {"word", "list"}
    assert [
        row for row in ROWS if row not in WORDS and row[0].strip("`") not in VALUES and row[0] not in headings
    ] == []


def test_no_word_has_two_meanings() -> None:
    words = [word for row in WORDS for word in row[0].split(", ")]
    assert sorted(set(words)) == sorted(words)


def test_every_list_of_values_is_there() -> None:
    assert set(VALUES) == enumerations()


@pytest.mark.parametrize(("name", "told"), VALUES.items(), ids=list(VALUES))
def test_every_list_is_complete(name: str, told: str) -> None:
    values = [f"`{value}`" for value in pkgutil.resolve_name(name)]
    if link := re.match(r"\[\w+\]\((\w+\.md)\)", told):
        text = (DOCS / link[1]).read_text(encoding="utf-8")
        assert [value for value in values if value not in text] == []
    else:
        assert told.split() == values
