"""What others wrote, as PostgreSQL can hold it: NUL, lone surrogates and numbers that JSON does not know; pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
REPLACEMENT = "\ufffd"
LARGEST_BITS = 4096
"""Of an integer; Python prints a few more, PostgreSQL takes a few more."""


def clean(value: Any) -> Any:
    """The value itself where it can be stored; texts in it lose what cannot, at any depth."""
    if isinstance(value, str):
        return _UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(clean, value))
    return value


def to_json(value: Any) -> str:
    """JSON text that PostgreSQL takes, of anything that has one."""
    return json.dumps(_known(clean(value)))


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_known(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        return hex(value)
    return value
