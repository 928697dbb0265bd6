"""Anything that may arrive, as JSON that PostgreSQL stores; pure."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from rebalancer.ledger.storable_text import clean

LARGEST = 16_384
"""Bytes of a payload that is believed; a signal has some hundred."""
KEPT = 2_048
"""Characters kept of a payload that is not."""
DEEPEST = 32


def size(value: object) -> int:
    """Bytes of a payload as it travelled, near enough to judge it."""
    if isinstance(value, bytes | bytearray):
        return len(value)
    if isinstance(value, str):
        return len(value.encode(errors="surrogatepass"))
    return len(as_text(value))


def storable(value: object, depth: int = 0) -> Any:
    """The value itself where JSON and PostgreSQL can hold it; NUL and lone surrogates are replaced, bytes are text."""
    if isinstance(value, dict | list | tuple):
        return _container(value, depth + 1)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, int):
        return value
    return clean(_text_of(value))


def excerpt(value: object) -> dict[str, Any]:
    """As much as is kept of a payload that cannot be read, and how much that is."""
    text = storable(value) if isinstance(value, str | bytes | bytearray) else as_text(value)
    kept = {"raw": text[:KEPT], "bytes": size(value)}
    return kept | ({"note": f"the first {KEPT} characters"} if len(text) > KEPT else {})


def _container(value: dict[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> Any:
    if depth > DEEPEST:
        return "(nested deeper than is kept)"
    if isinstance(value, dict):
        return {clean(_text_of(key)): storable(item, depth) for key, item in value.items()}
    return [storable(item, depth) for item in value]


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes | bytearray):
        return repr(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()


def as_text(value: object) -> str:
    """The value as JSON text."""
    try:
        return json.dumps(storable(value))
    except (ValueError, RecursionError):  # an integer with more digits than Python prints
        return f"({type(value).__name__} that cannot be written)"
