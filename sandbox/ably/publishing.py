"""Messages as publishers send them: checked, encoded, given ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox.ably.auth import Identity
from sandbox.ably.errors import AblyError
from sandbox.ably.wire import Frame

_MOST_BYTES = 65_536
_MOST_MESSAGES = 1_000


class PublishedMessage(BaseModel):
    """A message of a publish; the keys that only the service may set are ignored."""

    model_config = ConfigDict(extra="ignore")

    id: str | None = None
    name: str | None = None
    data: Any = None
    encoding: str | None = None
    clientId: str | None = None  # noqa: N815 - wire name
    extras: dict[str, Any] | None = None

    def size(self) -> int:
        """What counts toward the limit: name, data, client id, extras."""
        data = self.data if isinstance(self.data, bytes) else str(self.data or "").encode()
        texts = (self.name or "", self.clientId or "", json.dumps(self.extras) if self.extras else "")
        return len(data) + sum(len(text.encode()) for text in texts)


def checked_messages(body: Any, identity: Identity) -> list[Frame]:
    """The messages of a publish, ready to be given ids.

    Args:
        body: one message or an array of them, as decoded from the wire.
        identity: of the publisher; its client id is stamped on each message.

    Raises:
        AblyError: malformed, too large, or under a client id that is not the publisher's.
    """
    try:
        messages = [PublishedMessage.model_validate(each) for each in (body if isinstance(body, list) else [body])]
    except ValidationError as problem:
        raise AblyError(40000, 400, f"bad message: {problem.errors()[0]['msg']}") from problem
    if not 0 < len(messages) <= _MOST_MESSAGES:
        raise AblyError(40000, 400, f"a publish holds 1 to {_MOST_MESSAGES} messages")
    size = sum(message.size() for message in messages)
    if size > _MOST_BYTES:
        raise AblyError(40009, 400, f"maximum message length exceeded: {size} of {_MOST_BYTES} bytes")
    return [_encoded(message, identity) for message in messages]


def with_ids(items: Sequence[Frame], base: str) -> tuple[str, list[Frame]]:
    """The publish's id, and its messages each with theirs.

    A single message may carry any id. Several must all carry ``<base>:<index>`` or none, so that a repetition can be
    recognised.
    """
    given = [item.get("id") for item in items]
    if not any(given):
        return base, [item | {"id": f"{base}:{n}"} for n, item in enumerate(items)]
    first = str(given[0])
    own_base, _, index = first.rpartition(":")
    if len(items) == 1:
        return (own_base if own_base and index == "0" else first), list(items)
    if given != [f"{own_base}:{n}" for n in range(len(items))]:
        raise AblyError(40031, 400, "invalid publish request: ids of a batch must be <base>:<index>")
    return own_base, list(items)


def _encoded(message: PublishedMessage, identity: Identity) -> Frame:
    own = None if identity.client_id == "*" else identity.client_id
    if own is not None and message.clientId not in (None, own):
        raise AblyError(40012, 400, "invalid client id: it is not the publisher's")
    item = message.model_dump(exclude_none=True)
    if isinstance(message.data, dict | list):
        encodings = [message.encoding] if message.encoding else []
        item |= {"data": json.dumps(message.data), "encoding": "/".join([*encodings, "json"])}
    elif not isinstance(message.data, str | bytes | None):
        raise AblyError(40013, 400, "invalid message data: it must be text, binary, an object or an array")
    return item | ({"clientId": own} if own else {})
