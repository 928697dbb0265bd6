"""What the documents name exists, and what exists is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from rebalancer.cli.deferred import Deferred
from rebalancer.cli.main import app
from rebalancer.domain.commands import Command
from rebalancer.domain.rule_names import Rule

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
TYPED = re.compile(r"(?:^|`|\$ |[A-Z]=\.\.\. )rebalancer ((?:--)?[a-z][^`\n#]*)", re.MULTILINE)
PLACES = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w.-]+\.(?:md|toml|yaml|example))`")
MADE = re.compile(r"(?:^|`)make ([a-z-]+)(?=`| +#| [A-Z]|\s*$)", re.MULTILINE)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PICTURE = re.compile(r"!\[([^\]]*)\]\((?:docs/)?images/([\w.-]+)\)")
LARGEST, ALL = 150_000, 1_500_000
"""Bytes of a picture, and of all pictures."""
TESTS = re.compile(r"`((?:contract|e2e|integration|pages|property|smoke|unit)/[\w/]+\.py)`")


def command_tree() -> dict[str, set[str]]:
    """Options by command: ``schedule add``, with those of its parents."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    assert "sandbox" in group.list_commands(typer.Context(group)), "what other packages add is among them"
    return dict(_walk(group, "", set()))


def _walk(command: Any, name: str, above: set[str]) -> Iterator[tuple[str, set[str]]]:
    own = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known = above | own | {"--help", "--install-completion", "--show-completion"}
    yield name, known
    for word, sub in getattr(command, "commands", {}).items():
        called = sub.load() if isinstance(sub, Deferred) else sub
        yield from _walk(called, f"{name} {word}".strip(), known)


COMMANDS = command_tree()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    targets = [target for target in LINK.findall(path.read_text()) if "://" not in target]
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_every_picture_is_shown_and_told_and_light() -> None:
    shown = {name: told for path in DOCUMENTS for told, name in PICTURE.findall(path.read_text())}
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs/images").iterdir()}
    assert sizes.keys() == shown.keys()
    assert [name for name, told in shown.items() if len(told) < 20] == []
    assert [name for name, size in sizes.items() if size > LARGEST] == []
    assert sum(sizes.values()) <= ALL


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_is_named_exists(path: Path) -> None:
    assert [name for name in TESTS.findall(path.read_text()) if not (ROOT / "tests" / name).is_file()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_target_of_make_exists(path: Path) -> None:
    assert sorted(set(MADE.findall(path.read_text())) - TARGETS) == []


def test_every_place_that_contributing_names_exists() -> None:
    places = PLACES.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(places) > 40, "the pattern finds them"
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_each_threat_and_each_chapter_has_a_test_or_a_reason() -> None:
    rows = [line for line in (ROOT / "docs/security.md").read_text().splitlines() if line.startswith("| ")]
    told = [row for row in rows if TESTS.search(row) or re.search(r"\]\(#[a-z-]+\)|the same \|$", row)]
    headings = ("| who |", "| promise |", "| chapter |")
    assert [row for row in rows if row not in told and not row.startswith(headings)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_can_be_typed(path: Path) -> None:
    for typed in TYPED.findall(path.read_text()):
        words = typed.split()
        name = next((f for f in (" ".join(words[:2]), words[0]) if f in COMMANDS), "")
        assert name or words[0].startswith("--"), f"rebalancer {typed}"
        unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in COMMANDS[name]]
        assert unknown == [], f"rebalancer {typed}"


def test_every_command_is_documented() -> None:
    text = "\n".join(path.read_text() for path in DOCUMENTS)
    groups = {name.split()[0] for name in COMMANDS if " " in name}
    missing = [name for name in COMMANDS if name and name not in groups and f"rebalancer {name}" not in text]
    assert [name for name in missing if not name.startswith("sandbox ")] == []


def test_the_readme_names_every_command_of_an_account() -> None:
    text = (ROOT / "README.md").read_text()
    assert [str(command) for command in Command if f"`{command}`" not in text] == []


def test_every_rule_is_explained() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    assert [str(rule) for rule in Rule if f"`{rule}`" not in text] == []
