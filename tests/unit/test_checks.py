"""What is checked is said once, in the Makefile; commit hooks and editors follow it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def parts_of_check() -> list[str]:
    """The targets that ``make check`` consists of."""
    found = re.search(r"^check: (.*?)(?: ##.*)?\n(\t?)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    assert not found[2], "a command of `make check` itself would be in no hook"
    return found[1].split()


def test_the_hooks_are_the_parts_of_make_check() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [one["repo"] for one in repositories] == ["local"], (
        "a hook from elsewhere would not be what `make check` runs"
    )
    hooks = repositories[0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [f"make {part}" for part in parts_of_check()]
    assert {(hook["language"], hook["pass_filenames"]) for hook in hooks} == {("system", False)}


def test_editors_break_lines_where_ruff_does() -> None:
    length = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["line-length"]
    assert f"\n[*.py]\nindent_size = 4\nmax_line_length = {length}\n" in (ROOT / ".editorconfig").read_text()
