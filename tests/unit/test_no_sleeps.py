"""Between a question and its answer the program waits for the answer, never for time to pass."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for folder in ("rebalancer/ibkr", "rebalancer/usecases", "tasks") for path in (ROOT / folder).rglob("*.py")
)


def sleeps(source: str) -> list[int]:
    """Lines on which something named ``sleep`` is called."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    named = ((call, getattr(call, "attr", getattr(call, "id", ""))) for call in calls)
    return [call.lineno for call, name in named if name == "sleep"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_on_the_way_of_an_order_sleeps(path: Path) -> None:
    assert sleeps(path.read_text(encoding="utf-8")) == []


def test_a_sleep_would_be_found() -> None:
    assert sleeps("import time\ntime.sleep(1)\n") == [2]
    assert sleeps("from asyncio import sleep\nasync def f():\n    await sleep(1)\n") == [3]
