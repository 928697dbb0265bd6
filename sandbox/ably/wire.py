"""Protocol frames: their actions and flags, and how they are written in JSON and msgpack."""

from __future__ import annotations

import base64
import binascii
import json
from enum import IntEnum, IntFlag, StrEnum
from typing import Any

import msgpack

from sandbox.ably.errors import AblyError

Frame = dict[str, Any]
"""A protocol frame or one of its messages, keyed as on the wire; absent keys instead of nulls."""


class Action(IntEnum):
    """The actions that this server sends or understands."""

    HEARTBEAT = 0
    ACK = 1
    NACK = 2
    CONNECTED = 4
    DISCONNECTED = 6
    CLOSE = 7
    CLOSED = 8
    ERROR = 9
    ATTACH = 10
    ATTACHED = 11
    DETACH = 12
    DETACHED = 13
    MESSAGE = 15
    AUTH = 17


class Flag(IntFlag):
    """Bits of an ATTACH or ATTACHED frame."""

    RESUMED = 1 << 2
    ATTACH_RESUME = 1 << 5
    PRESENCE = 1 << 16
    PUBLISH = 1 << 17
    SUBSCRIBE = 1 << 18
    PRESENCE_SUBSCRIBE = 1 << 19


ALL_MODES = Flag.PRESENCE | Flag.PUBLISH | Flag.SUBSCRIBE | Flag.PRESENCE_SUBSCRIBE


class Format(StrEnum):
    """The two encodings of both protocols."""

    JSON = "json"
    MSGPACK = "msgpack"


MIME_TYPES = {Format.JSON: "application/json", Format.MSGPACK: "application/x-msgpack"}


def encode(value: Any, to: Format) -> bytes:
    """A frame or a REST body; JSON is sent as text frames, msgpack as binary ones."""
    if to is Format.JSON:
        return json.dumps(value, separators=(",", ":")).encode()
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def decode(raw: str | bytes, source: Format) -> Any:
    """The inverse of `encode`.

    Raises:
        AblyError: the bytes are not of that format.
    """
    try:
        if source is Format.JSON:
            return json.loads(raw)
        return msgpack.unpackb(raw if isinstance(raw, bytes) else raw.encode(), strict_map_key=False)
    except (ValueError, msgpack.UnpackException) as problem:
        raise AblyError(40000, 400, f"body is not {source}: {problem}") from problem


def for_reader(item: Frame, to: Format) -> Frame:
    """A stored message as a reader of that format expects it: bytes are base64 in JSON and themselves in msgpack.

    Base64 that cannot be decoded is passed on as it is: spoiling messages is a purpose of this server.
    """
    data, encodings = item.get("data"), [part for part in str(item.get("encoding") or "").split("/") if part]
    if to is Format.JSON and isinstance(data, bytes):
        return item | {"data": base64.b64encode(data).decode(), "encoding": "/".join([*encodings, "base64"])}
    if to is Format.MSGPACK and isinstance(data, str) and encodings[-1:] == ["base64"]:
        try:
            plain = base64.b64decode(data, validate=True)
        except binascii.Error:
            return item
        rest = {key: value for key, value in item.items() if key != "encoding"}
        return rest | {"data": plain} | ({"encoding": "/".join(encodings[:-1])} if encodings[1:] else {})
    return item
