"""Reading YAML exactly: numbers as ``Decimal`` from their text, repeated keys refused, every value's line known.

Only ``true``, ``false`` and ``null`` are special, as in YAML 1.2, so that the ticker symbols ON, NO and Y stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rebalancer.config.field_help import allowed_values, default_note, mapping_of, nearest, written
from rebalancer.domain.errors import ConfigurationError

M = TypeVar("M", bound=BaseModel)
KeyPath = tuple[int | str, ...]
NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
DEEPEST = 20
TOO_DEEP = "is nested too deeply"


@dataclass(frozen=True, slots=True)
class Document:
    """A file's content with the line on which each key path starts."""

    path: Path
    content: object
    lines: dict[KeyPath, int]

    def place(self, key_path: KeyPath) -> str:
        """``accounts.yaml:7: accounts[2].type``; the line is the nearest known one."""
        known = next(self.lines[key_path[:end]] for end in range(len(key_path), -1, -1) if key_path[:end] in self.lines)
        name = _dotted(key_path)
        return f"{self.path}:{known}: {name}" if name else f"{self.path}:{known}"


def read_yaml(path: Path) -> Document:
    """Read one file.

    Raises:
        ConfigurationError: as :func:`open_yaml`; or it repeats a key, or has one that is not text, or is too deep.
    """
    document, problems = open_yaml(path)
    if problems:
        raise ConfigurationError(problems)
    return document


def open_yaml(path: Path) -> tuple[Document, list[str]]:
    """Read one file as far as that is possible.

    Returns:
        The content without what cannot be used, and one problem for each such thing.

    Raises:
        ConfigurationError: it is missing, empty, not YAML, holds more than one document, or uses what a configuration
            file does not need (anchors, tags).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as unreadable:
        raise ConfigurationError([f"{path}: cannot be read: {unreadable}"]) from unreadable
    except UnicodeDecodeError as other:
        raise ConfigurationError([f"{path}: is not written in UTF-8: save it in that encoding"]) from other
    return _read(path, text)


def parse_yaml(text: str) -> tuple[object, list[str]]:
    """The same of a text that is no file of the configuration."""
    document, problems = _read(Path("YAML"), text)
    return document.content, problems


def _read(path: Path, text: str) -> tuple[Document, list[str]]:
    try:
        root = yaml.compose(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as broken:
        line = broken.problem_mark.line + 1 if broken.problem_mark else 1
        what = broken.problem or broken.context
        said = what if what == TOO_DEEP else f"is not YAML: {what}"
        raise ConfigurationError([f"{path}:{line}: {said}"]) from broken
    except yaml.YAMLError as broken:
        raise ConfigurationError([f"{path}: is not YAML: {broken}"]) from broken
    if root is None:
        raise ConfigurationError([f"{path}: is empty"])
    reader = _Reader(path)
    content = reader.convert(root, ())
    return Document(path, content, reader.lines), reader.problems


def check(model: type[M], content: object, document: Document, key_path: KeyPath, problems: list[str]) -> M | None:
    """The part of a document at ``key_path`` as a model; ``None`` when it is wrong, which adds to ``problems``."""
    try:
        return model.model_validate(content)
    except ValidationError as refused:
        problems += [_problem(model, error, document, key_path) for error in refused.errors(include_url=False)]
    return None


def _problem(model: type[BaseModel], error: ErrorDetails, document: Document, base: KeyPath) -> str:
    """One line for one refused value: where it stands, what it is, what may stand there."""
    place = document.place((*base, *error["loc"]))
    if error["type"] == "value_error":
        return f"{place} {error['ctx']['error']}"
    if not error["loc"]:
        return f"{place} has to be a mapping with the keys {', '.join(model.model_fields)}"
    *parents, name = (str(part) for part in error["loc"])
    for parent in parents:
        model = mapping_of(model.model_fields[parent])
    if error["type"] == "extra_forbidden":
        former = getattr(model, "former_keys", {}).get(name)
        return f"{place} is of an earlier program: {former}" if former else _unknown(place, name, model)
    field = model.model_fields[name]
    remedy = f"use {allowed_values(field)} ({default_note(field)})"
    if error["type"] == "missing":
        return f"{place} is missing: {remedy}"
    return f"{place} = {_shown(error['input'])} is refused: {remedy}"


def _unknown(place: str, name: str, model: type[BaseModel]) -> str:
    return f"{place} is unknown: {nearest(name, model.model_fields)}"


def _shown(value: object) -> str:
    """A refused value, short: text in quotes, so that 12 and "12" differ."""
    if isinstance(value, str):
        return repr(value)
    return "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else written(value)


class _PlainLoader(yaml.SafeLoader):
    """Composes nodes without tags, without aliases, which could make a small file huge or endless, and not too deep."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs have no annotation for it
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(problem="aliases and tags are not supported", problem_mark=event.start_mark)
        if self._depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Reader:
    """Turns nodes into values, collecting lines and problems on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[str] = []

    def convert(self, node: yaml.Node, key_path: KeyPath) -> object:
        self.lines[key_path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return {key: self.convert(value, (*key_path, key)) for key, value in self._pairs(node, key_path)}
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(item, (*key_path, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _pairs(self, node: yaml.MappingNode, key_path: KeyPath) -> Iterator[tuple[str, yaml.Node]]:
        first: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, "a key has to be text")
            elif key.value in first:
                name = _dotted((*key_path, key.value))
                self._refuse(key, f"{name} was set before in line {first[key.value]}: keep one")
            else:
                first[key.value] = key.start_mark.line + 1
                yield key.value, value

    def _refuse(self, node: yaml.Node, problem: str) -> None:
        self.problems.append(f"{self.path}:{node.start_mark.line + 1}: {problem}")


def _scalar(node: yaml.Node) -> object:
    text = str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.style is not None:  # quoted, or a block
        return text
    if text in WORDS:
        return WORDS[text]
    return Decimal(text) if NUMBER.fullmatch(text) else text


def _dotted(key_path: KeyPath) -> str:
    """``("accounts", 2, "type")`` as ``accounts[2].type``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in key_path)
    return "".join(parts).removeprefix(".")
