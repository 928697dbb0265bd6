"""Whether a JSON body can be meant: judged on the text, before it becomes a model. Pure."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

DEEPEST = 32
_OPENING, _CLOSING = b"[{", b"]}"
_QUOTE, _ESCAPE = ord('"'), ord("\\")


def fault_of(body: bytes) -> str | None:
    """What is wrong with it, in one sentence: nesting, numbers that are none, half characters; ``None`` if nothing.

    What is no JSON at all is left to the framework, which says where.
    """
    if depth_of(body) > DEEPEST:
        return f"The body is nested deeper than {DEEPEST} levels"
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "The body is not UTF-8"
    if "\0" in text or text.startswith("\ufeff"):  # the framework would take it for another encoding
        return "The body is not plain UTF-8"
    try:
        found = json.loads(text, parse_constant=_no_number, parse_float=_finite, parse_int=_whole)
    except json.JSONDecodeError:
        return None
    except ValueError as wrong:
        return f"The body holds {wrong}"
    return None if is_text_whole(found) else "The body holds half a character (a lone surrogate)"


def depth_of(body: bytes) -> int:
    """Levels of brackets and braces, those inside of texts left out."""
    deepest = depth = 0
    in_text = escaped = False
    for byte in body:
        if in_text:
            in_text = escaped or byte != _QUOTE
            escaped = not escaped and byte == _ESCAPE
        elif byte == _QUOTE:
            in_text = True
        elif byte in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif byte in _CLOSING:
            depth -= 1
    return deepest


def is_text_whole(value: Any) -> bool:
    """Whether every text in a value of bounded depth, keys included, can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text}, which is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value


def _whole(text: str) -> int:
    if len(text) > 100:
        raise ValueError("a number that is too large")
    return int(text)
