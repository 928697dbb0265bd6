"""`celery -A tasks inspect active`: with the account that each task is for, as people read it in Flower.

A task's arguments are its event's id alone; the text that is shown for them is written when it is published.
"""

from __future__ import annotations

from typing import Any

from celery.worker.control import Panel, inspect_command

_active = Panel.data["active"]


@inspect_command(alias="dump_active")
def active(state: Any, **_: Any) -> list[dict[str, Any]]:
    """Tasks that run, and for which account."""
    shown: list[dict[str, Any]] = _active(state, safe=True)
    return shown
