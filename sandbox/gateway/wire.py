"""Framing and field encoding of the TWS text protocol.

A frame is a big-endian 32-bit length and that many bytes of fields, each ended by NUL, the same in both directions.
Only the client's greeting differs: ``API`` NUL, then one frame holding the range of versions it speaks.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from functools import cached_property

MAX_FRAME = 0xFFFFFF
MIN_VERSION = 157
MAX_VERSION = 178
GREETING = b"API\0"
UNSET_DOUBLE = "1.7976931348623157E308"
UNSET_INT = "2147483647"

_AMBIGUOUS = 158  # ib_async reads its openOrder as if it were 157
_UNSET_NUMBERS = frozenset({"", UNSET_INT, "infinite", "inf", "nan"})
_UNSET_DOUBLES = re.compile(r"1\.797693134862315\d*[eE]\+?308")
_VERSIONS = re.compile(r"v(\d{1,6})(?:\.\.(\d{1,6}))?(?: .*)?", re.DOTALL)

Message = tuple[object, ...]
"""One outgoing message: its id and its fields, not yet text."""


class Lasting(tuple[object, ...]):
    """A message that is sent again and again: its frame is made once."""

    @cached_property
    def frame(self) -> bytes:
        """It, as :func:`encode` frames it."""
        return _frame(self)


class WireError(Exception):
    """The peer does not speak the protocol; its connection must be closed."""


class FieldError(Exception):
    """A well-framed message has missing, surplus or unreadable fields."""


def encode(fields: Iterable[object]) -> bytes:
    """Frame one message."""
    return fields.frame if isinstance(fields, Lasting) else _frame(fields)


def _frame(fields: Iterable[object]) -> bytes:
    payload = "".join(f"{field_text(field)}\0" for field in fields).encode()
    return struct.pack(">I", len(payload)) + payload


def field_text(value: object) -> str:
    """Text of one field: booleans are 0/1, absent values empty, decimals never in exponent form."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value).replace("\0", " ")


async def read_frame(reader: asyncio.StreamReader) -> list[str]:
    """Next message's fields.

    Raises:
        WireError: impossible length or payload.
        asyncio.IncompleteReadError: the peer is gone.
    """
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if not 0 < length <= MAX_FRAME:
        raise WireError(f"a frame of {length} bytes is impossible")
    payload = await reader.readexactly(length)
    if payload[-1]:
        raise WireError("a message must end with NUL")
    return payload[:-1].decode(errors="backslashreplace").split("\0")


async def read_greeting(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Lowest and highest version that the client speaks.

    Raises:
        WireError: not an API client.
    """
    if await reader.readexactly(len(GREETING)) != GREETING:
        raise WireError("the greeting is not API")
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if not 0 < length <= 1024:
        raise WireError(f"a version range of {length} bytes is impossible")
    found = _VERSIONS.fullmatch((await reader.readexactly(length)).decode(errors="backslashreplace"))
    if not found:
        raise WireError("the version range is unreadable")
    return int(found[1]), int(found[2] or found[1])


def negotiate(lowest: int, highest: int, ours: int = MAX_VERSION) -> int:
    """Version that both sides will speak.

    Raises:
        WireError: the ranges do not meet.
    """
    version = min(highest, ours)
    if version < max(lowest, MIN_VERSION):
        raise WireError(f"client speaks {lowest}..{highest}, this gateway {MIN_VERSION}..{ours}")
    return _AMBIGUOUS - 1 if version == _AMBIGUOUS else version


class FieldReader:
    """Takes a message's fields in order."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = fields
        self._next = 0

    def text(self) -> str:
        """Next field as it stands.

        Raises:
            FieldError: there is none.
        """
        if self._next >= len(self._fields):
            raise FieldError(f"field {self._next} is missing")
        self._next += 1
        return self._fields[self._next - 1]

    def integer(self) -> int:
        """Next field as an integer; unset counts as 0."""
        found = self.text()
        if found.lower() in _UNSET_NUMBERS:
            return 0
        try:
            return int(found)
        except ValueError as error:
            raise FieldError(f"field {self._next - 1} is not an integer: {found[:40]!r}") from error

    def number(self) -> Decimal | None:
        """Next field as a decimal; ``None`` when unset in any of the ways that clients write it."""
        found = self.text()
        if found.lower() in _UNSET_NUMBERS or _UNSET_DOUBLES.fullmatch(found):
            return None
        try:
            value = Decimal(found)
        except InvalidOperation as error:
            raise FieldError(f"field {self._next - 1} is not a number: {found[:40]!r}") from error
        if not value.is_finite() or abs(value.adjusted()) > 18:
            raise FieldError(f"field {self._next - 1} is out of range: {found[:40]!r}")
        return value

    def flag(self) -> bool:
        """Next field as a truth value; unset counts as false."""
        return self.text().lower() in ("1", "true")

    def skip(self, count: int = 1) -> None:
        """Pass over fields that mean nothing here."""
        for _ in range(count):
            self.text()

    def finish(self) -> None:
        """Make sure that nothing is left over.

        Raises:
            FieldError: the message is longer than its version allows.
        """
        left = len(self._fields) - self._next
        if left:
            raise FieldError(f"{left} fields are left over after field {self._next - 1}")
