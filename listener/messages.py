"""From a message as it arrived, live or from history, to what goes on record; pure.

Three outcomes: taken literally; a dry run, if the message can be read but does not plainly ask for something; and
quarantine, if it cannot be read. None of the latter two ever trades.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from listener.json_safe import LARGEST, as_text, excerpt, size, storable
from rebalancer.domain.commands import Command, read_payload
from rebalancer.ledger.channel_log import Arrival

LONGEST_ID = 300
LONGEST_REMARK = 300
CREATED = 0
"""The ``action`` of a message that somebody published; others edit, delete or annotate an earlier one."""

# What a command becomes when it comes too late to be followed blindly.
DRY = {Command.REBALANCE: Command.PRINT_REBALANCE, Command.CANCEL_ORDERS: Command.PRINT_ORDERS}


class SdkMessage(Protocol):
    """What we use of the SDK's message; it has checked the types of id and name, and decoded what it could."""

    @property
    def id(self) -> str | None: ...
    @property
    def data(self) -> object: ...
    @property
    def encoding(self) -> str: ...
    @property
    def timestamp(self) -> object: ...
    @property
    def action(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Message:
    """A message, read as far as possible.

    Attributes:
        published_at: by Ably's clock; ``None`` when it says no usable time.
        fault: why it cannot be read; ``data`` is raw then.
    """

    channel: str
    id: str
    published_at: datetime | None
    data: object
    fault: str | None = None


def from_sdk(channel: str, message: SdkMessage) -> Message:
    """A message that the SDK delivered."""
    at = _time(message.timestamp)
    fault = _action_fault(message.action) or (f"encoding {message.encoding!r} is unknown" if message.encoding else None)
    return Message(
        channel=channel,
        id=_usable_id(message.id, None),
        published_at=at,
        data=message.data,
        fault=fault or _time_fault(at),
    )


def from_history(channel: str, item: object) -> Message:
    """A message as the history request returns it: one bad message must not hide the others, so we decode it."""
    if not isinstance(item, dict):
        return Message(
            channel=channel,
            id=_usable_id(None, item),
            published_at=None,
            data=item,
            fault=f"message is {type(item).__name__}, not an object",
        )
    at = _time(item.get("timestamp"))
    fault = _type_fault(item) or _action_fault(item.get("action")) or _time_fault(at)
    data, unreadable = _decoded(item.get("data"), item.get("encoding") or "")
    return Message(
        channel=channel, id=_usable_id(item.get("id"), item), published_at=at, data=data, fault=fault or unreadable
    )


def arrival(message: Message, now: datetime, max_age: timedelta) -> Arrival:
    """What goes on record.

    Args:
        max_age: an older signal is not followed blindly any more.
    """
    weight = size(message.data)
    if message.fault or weight > LARGEST:
        fault = message.fault or f"payload has {weight} bytes, more than {LARGEST}"
        return _record(message, None, excerpt(message.data), fault)
    reading = read_payload(message.data)
    age = now - message.published_at if message.published_at else timedelta()
    if age > max_age and reading.command in DRY:
        remark = f"asked for {reading.command}, but was {_hours(age)} h old: dry run instead"
        return _record(message, DRY[reading.command], storable(message.data), remark)
    return _record(message, reading.command, storable(message.data), reading.remark)


def _record(message: Message, command: Command | None, payload: Any, remark: str | None) -> Arrival:
    safe = None if remark is None else str(storable(remark))[:LONGEST_REMARK]
    return Arrival(
        channel=message.channel,
        message_id=message.id,
        published_at=message.published_at,
        command=command,
        payload=payload,
        remark=safe,
    )


def _hours(age: timedelta) -> str:
    return f"{age.total_seconds() / 3600:.1f}"


def _usable_id(given: object, whole: object) -> str:
    """Its id; for a message that has no usable one, something that is the same each time it is read."""
    if isinstance(given, str) and 0 < len(given) <= LONGEST_ID and given.isprintable() and storable(given) == given:
        return given
    text = given if isinstance(given, str) else as_text(whole)
    return "sha256:" + hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def _time(milliseconds: object) -> datetime | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _time_fault(at: datetime | None) -> str | None:
    return None if at else "message has no usable timestamp"


def _type_fault(item: Mapping[str, Any]) -> str | None:
    for key in ("id", "name", "encoding"):
        if item.get(key) is not None and not isinstance(item[key], str):
            return f"{key} is {type(item[key]).__name__}, not text"
    return None


def _action_fault(action: object) -> str | None:
    return None if action in (None, CREATED) else f"message is no publication but has action {action}"


def _decoded(data: object, encoding: object) -> tuple[object, str | None]:
    """Undo the encodings, last one first.

    Returns:
        The data, and why it could not be decoded if so.
    """
    if not isinstance(encoding, str):
        return data, "encoding is not text"
    for step in reversed([part for part in encoding.split("/") if part]):
        if step not in _STEPS:
            return data, f"encoding {step!r} is unknown"
        try:
            data = _STEPS[step](data)
        except (ValueError, TypeError, RecursionError) as problem:
            return data, f"data is not {step}: {type(problem).__name__}"
    return data, None


def _from_json(data: object) -> object:
    return data if isinstance(data, dict | list) else json.loads(_text_or_bytes(data))


def _from_utf8(data: object) -> object:
    return bytes(data).decode() if isinstance(data, bytes | bytearray) else data


def _from_base64(data: object) -> object:
    return base64.b64decode(_text_or_bytes(data))


def _text_or_bytes(data: object) -> str | bytes | bytearray:
    if not isinstance(data, str | bytes | bytearray):
        raise TypeError(type(data).__name__)
    return data


_STEPS: Mapping[str, Callable[[object], object]] = {
    "json": _from_json,
    "utf-8": _from_utf8,
    "base64": _from_base64,
}
