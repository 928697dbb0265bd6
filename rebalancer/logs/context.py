"""Whose run a line of the log belongs to: also lines of threads and libraries that only serve the run."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

SERVING = ("rebalancer.ibkr", "ib_async")
"""Loggers of the broker connection: one thread that outlives every run and hears what concerns the present one."""

FIRST = ("timestamp", "level", "event", "account_id", "strategy", "command", "event_id", "attempt")
"""Where a person's eye looks, and in this order."""

_runs: dict[int, Mapping[str, str | int]] = {}
"""Context of the runs in this process, by the thread that each occupies."""


def begin_run(**context: str | int) -> None:
    """Put ``event_id``, ``account_id``, ``strategy``, ``command`` and ``attempt`` on every line of this thread."""
    end_run()
    _runs[threading.get_ident()] = context
    structlog.contextvars.bind_contextvars(**context)


def end_run() -> None:
    """Take off what :func:`begin_run` put on."""
    context = _runs.pop(threading.get_ident(), {})
    structlog.contextvars.unbind_contextvars(*context)


@contextmanager
def outside_any_run() -> Iterator[None]:
    """Let what is started within outlive the run: it does not keep the run's context."""
    context = structlog.contextvars.get_contextvars()
    structlog.contextvars.clear_contextvars()
    try:
        yield
    finally:
        structlog.contextvars.bind_contextvars(**context)


def add_serving(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Give the broker connection's own lines the context of the run that it serves, where there is only one."""
    if "event_id" in event or not str(event.get("logger", "")).startswith(SERVING):
        return event
    runs = list(_runs.values())
    return {**runs[0], **event} if len(runs) == 1 else event


def put_first(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Let every line begin with when, what and whose."""
    return {name: event[name] for name in FIRST if name in event} | dict(event)


def drop_duplicates(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out what uvicorn adds for its own coloured console: the same text once more."""
    event.pop("color_message", None)
    return event


def add_task(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Give Celery's lines about a task the fields that ours have; Celery puts its own under ``data``."""
    data = event.get("data")
    if not isinstance(data, dict) or "id" not in data or not str(event.get("logger", "")).startswith("celery."):
        return event
    del event["data"]
    known = {"event_id": str(data["id"]).split(".", maxsplit=1)[0], "command": data.get("name")}
    return {**known, **_addressed(data.get("kwargs")), **event}


def shown_addressee(account_id: str, strategy: str) -> str:
    """What a message shows of its addressee, to Flower's search and to :func:`add_task`."""
    return repr({"account_id": account_id, "strategy": strategy})


def _addressed(text: object) -> dict[str, Any]:
    """The addressee as the message showed it; nothing where another program wrote the message."""
    with suppress(ValueError, SyntaxError):
        shown = ast.literal_eval(str(text))
        if isinstance(shown, dict):
            return {name: shown[name] for name in ("account_id", "strategy") if name in shown}
    return {}
