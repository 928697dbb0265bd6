"""Writes docs/log-events.md anew: ``python -m tests.tools.log_events``.

Names, levels and fields come from the code. Meanings are written in the document, by people; a test asks for them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "log-events.md"
PACKAGES = ("rebalancer", "tasks", "api", "listener")
LEVELS = ("debug", "info", "warning", "error", "exception")
PARAMETERS = frozenset({"exc_info", "stack_info"})
"""Arguments that the logger itself takes; they become a traceback, not a field."""
PASSED_ON = frozenset({"reject_log_error"})
"""Other people's functions that are given the logger, to say words of their own."""
TABLE = "| event | level | fields | meaning |\n|---|---|---|---|\n"
_ROW = re.compile(r"^\| `(\w+)` \| [^|]* \| [^|]* \| (.*) \|$", re.MULTILINE)


class Unreadable(Exception):
    """The logger is used in a way that this module does not understand: write it plainer, or teach the module."""


@dataclass(frozen=True, slots=True)
class LogCall:
    """One place that logs: an event with the levels that it may have and the fields that it gives."""

    event: str
    levels: tuple[str, ...]
    fields: tuple[str, ...]


def document(earlier: str) -> str:
    """The whole file: what stands before the table in the earlier one, and the table with the earlier meanings."""
    meanings = dict(_ROW.findall(earlier))
    calls = [one for path in modules() for one in log_calls(path.read_text(encoding="utf-8"))]
    rows = [_row(event, calls, meanings.get(event, "")) for event in sorted({one.event for one in calls})]
    return earlier.split(TABLE, maxsplit=1)[0] + TABLE + "\n".join(rows) + "\n"


def without_meaning(text: str) -> list[str]:
    """Events of the document about which it says nothing."""
    return [event for event, meaning in _ROW.findall(text) if not meaning.strip()]


def modules() -> Iterator[Path]:
    """Every module whose log lines are in the catalogue."""
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def log_calls(source: str) -> list[LogCall]:
    """What a module logs.

    Raises:
        Unreadable: the logger is used otherwise than by calls with a constant event and named fields.
    """
    tree = ast.parse(source)
    return [*_LoggerUses(tree).calls(), *_made_as_dictionaries(tree)]


class _LoggerUses:
    """A module and the names by which it speaks to its log."""

    def __init__(self, tree: ast.Module) -> None:
        self._nodes = list(ast.walk(tree))
        self._bound: dict[str, tuple[str, ...]] = {}  # a logger's name -> fields that it always gives
        self._chosen: dict[str, tuple[str, ...]] = {}  # a name for one of several methods -> their levels
        self._understood: set[int] = set()
        for node in self._nodes:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._learn(node.targets[0].id, node.value)

    def calls(self) -> list[LogCall]:
        calls = [node for node in self._nodes if isinstance(node, ast.Call)]
        found = [made for call in calls if (made := self._log_call(call)) is not None]
        for call in calls:
            if isinstance(call.func, ast.Attribute) and call.func.attr in PASSED_ON:
                self._understood.update(id(given) for given in call.args)
        for node in self._nodes:
            unread = self._is_logger(node) and isinstance(node.ctx, ast.Load)
            if (unread or _makes_a_logger(node)) and id(node) not in self._understood:
                raise Unreadable(ast.unparse(node))
        return found

    def _learn(self, name: str, value: ast.expr) -> None:
        if isinstance(value, ast.Call) and _makes_a_logger(value.func):
            self._understood.add(id(value.func))
            self._bound[name] = ()
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "bind":
            if self._is_logger(value.func.value):
                self._understood.add(id(value.func.value))
                self._bound[name] = self._bound[value.func.value.id] + _fields(value)
        elif levels := self._levels(value):
            self._chosen[name] = levels

    def _log_call(self, call: ast.Call) -> LogCall | None:
        if isinstance(call.func, ast.Name) and call.func.id in self._chosen:
            levels, always = self._chosen[call.func.id], ()
        elif levels := self._levels(call.func):
            logger = call.func.value if isinstance(call.func, ast.Attribute) else None
            always = self._bound[logger.id] if isinstance(logger, ast.Name) else ()
        else:
            return None
        event = call.args[0] if len(call.args) == 1 else None
        if not isinstance(event, ast.Constant):
            raise Unreadable(ast.unparse(call))
        return LogCall(str(event.value), levels, (*always, *_fields(call)))

    def _levels(self, method: ast.expr) -> tuple[str, ...]:
        """Of a logger's method, or of a choice between several."""
        if isinstance(method, ast.IfExp):
            return self._levels(method.body) + self._levels(method.orelse)
        if isinstance(method, ast.Attribute) and self._is_logger(method.value) and method.attr in LEVELS:
            self._understood.add(id(method.value))
            return (method.attr,)
        return ()

    def _is_logger(self, node: ast.AST) -> TypeGuard[ast.Name]:
        return isinstance(node, ast.Name) and node.id in self._bound


def _makes_a_logger(node: ast.AST) -> bool:
    """As ``structlog.get_logger``; imported by its own name it is none that this module knows."""
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "get_logger" for alias in node.names)
    return isinstance(node, ast.Attribute) and node.attr == "get_logger"


def _fields(call: ast.Call) -> tuple[str, ...]:
    if any(keyword.arg is None for keyword in call.keywords):
        raise Unreadable(ast.unparse(call))
    return tuple(str(keyword.arg) for keyword in call.keywords if keyword.arg not in PARAMETERS)


def _made_as_dictionaries(tree: ast.Module) -> Iterator[LogCall]:
    """Lines that the log's own machinery makes as dictionaries, where no logger can be trusted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            given = {
                key.value: value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
            event, level = given.pop("event", None), given.pop("level", None)
            if isinstance(event, ast.Constant) and isinstance(level, ast.Constant):
                yield LogCall(str(event.value), (str(level.value),), tuple(map(str, given)))


def _row(event: str, calls: Iterable[LogCall], meaning: str) -> str:
    own = [one for one in calls if one.event == event]
    levels = {_level(level) for one in own for level in one.levels}
    fields = dict.fromkeys(field for one in own for field in one.fields)
    always = [field for field in fields if all(field in one.fields for one in own)]
    sometimes = [f"({field})" for field in fields if field not in always]
    said = ", ".join(level for level in LEVELS if level in levels)
    return f"| `{event}` | {said} | {', '.join([*always, *sometimes])} | {meaning} |"


def _level(method: str) -> str:
    return "error" if method == "exception" else method


if __name__ == "__main__":
    TARGET.write_text(document(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
