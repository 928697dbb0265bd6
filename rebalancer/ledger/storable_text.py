"""What others wrote, as PostgreSQL can hold it: NUL, lone surrogates and numbers that JSON does not know; pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
REPLACEMENT = "\ufffd"
LARGEST_BITS = 4096
"""Of an integer; Python prints a few more, PostgreSQL takes a few more."""


def clean(value: Any) -> Any:
    """The value itself where it can be stored; texts in it lose what cannot, at any depth."""
    return value if _storable(value) else _walk(value, _text)


def _storable(value: Any) -> bool:
    """Whether nothing has to be replaced, which is nearly always so and asked of every parameter."""
    if isinstance(value, str):
        return (value.isascii() and "\0" not in value) or not _UNSTORABLE.search(value)
    if isinstance(value, dict):
        return all(map(_storable, value)) and all(map(_storable, value.values()))
    return type(value) not in (list, tuple) or all(map(_storable, value))


def to_json(value: Any) -> str:
    """JSON text that PostgreSQL takes, of anything that has one."""
    return json.dumps(_walk(value, _scalar))


def _walk(value: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {leaf(key): _walk(item, leaf) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_walk(item, leaf) for item in value)
    return leaf(value)


def _text(value: Any) -> Any:
    return _UNSTORABLE.sub(REPLACEMENT, value) if isinstance(value, str) else value


def _scalar(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        return hex(value)
    return _text(value)
