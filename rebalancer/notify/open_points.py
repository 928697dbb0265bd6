"""What of an account waits for a person, in words; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def open_points(detail: Mapping[str, Any]) -> list[str]:
    """Of a digest or a letter; a digest that an earlier release wrote does not say ``stranded``."""
    stranded: int = detail.get("stranded", 0)
    found = [f"NEEDS YOU: {counted(detail['stuck'], 'failing event')}"] if detail["stuck"] else []
    found += [f"WAITS FOR YOU: {counted(detail['approvals'], 'plan')}"] if detail["approvals"] else []
    found += [f"WAITS FOR NOTHING: {counted(stranded, 'event')}"] if stranded else []
    return found + (["HALTED"] if detail["halted"] else [])


def counted(count: int, thing: str) -> str:
    """``1 order``, ``2 orders``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
