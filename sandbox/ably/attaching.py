"""Attachments: from where a client hears a channel, and whether it can continue where it was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from sandbox.ably.errors import AblyError, continuity_lost
from sandbox.ably.serials import ChannelSerial, parse_serial
from sandbox.ably.wire import ALL_MODES, Action, Flag, Frame

_QUALIFIED = re.compile(r"\[[^?\]]*(?:\?([^\]]*))?\](.+)", re.DOTALL)
_REWIND = re.compile(r"(\d{1,9})([ms]?)")
_MOST_REWOUND = 100
_ECHOED_PARAMS = ("rewind", "rewindLimit", "modes")
_SECONDS = {"m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Attachment:
    """One client on one channel.

    Attributes:
        label: the name that the client uses, qualifier included.
        serial: the position up to which it has been served, and the series in which it was.
    """

    label: str
    channel: str
    serial: ChannelSerial
    modes: Flag
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rewind:
    """Messages from before the attachment: the newest ``limit``, no older than ``seconds`` if given."""

    limit: int
    seconds: int | None


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """What an ATTACH asks for; ``rewind`` is None unless the attachment is a fresh one."""

    label: str
    channel: str
    serial: ChannelSerial | None
    modes: Flag
    params: Mapping[str, str]
    rewind: Rewind | None


@dataclass(frozen=True, slots=True)
class Continuity:
    """What a channel can offer: its series now, its newest position, and the newest that cannot be replayed."""

    series: str
    newest: str
    forgotten: str


@dataclass(frozen=True, slots=True)
class AttachPlan:
    """The answer to an ATTACH, before replay and live messages."""

    attachment: Attachment
    resumed: bool
    error: AblyError | None = None

    def frame(self) -> Frame:
        flags = self.attachment.modes | (Flag.RESUMED if self.resumed else Flag(0))
        return attached_frame(self.attachment, flags, self.error)


def attached_frame(attachment: Attachment, flags: Flag, error: AblyError | None) -> Frame:
    """ATTACHED; sent without being asked for and without RESUMED, it tells of a discontinuity."""
    frame: Frame = {
        "action": Action.ATTACHED,
        "channel": attachment.label,
        "channelSerial": str(attachment.serial),
        "flags": int(flags),
    }
    echoed = {key: attachment.params[key] for key in _ECHOED_PARAMS if key in attachment.params}
    return frame | ({"params": echoed} if echoed else {}) | ({"error": error.as_dict()} if error else {})


def channel_name(label: str) -> tuple[str, dict[str, str]]:
    """The channel and parameters of ``[?rewind=1]name``; a plain name has none.

    Raises:
        AblyError: the name is empty or begins with a reserved character.
    """
    qualified = _QUALIFIED.fullmatch(label)
    name, params = (qualified[2], dict(parse_qsl(qualified[1] or ""))) if qualified else (label, {})
    if not name or name[0] in ":[":
        raise AblyError(40010, 400, f"invalid channel name: {label!r}")
    return name, params


def parse_attach(label: str, serial: str | None, flags: int, params: Mapping[str, str]) -> AttachRequest:
    """Raises AblyError if the name or the rewind cannot be understood."""
    channel, qualifiers = channel_name(label)
    wanted = {**qualifiers, **params}
    presented, modes = parse_serial(serial), Flag(flags & ALL_MODES)
    fresh = serial is None and not flags & Flag.ATTACH_RESUME
    rewind = _rewind(wanted) if fresh else None
    return AttachRequest(label, channel, presented, modes or _modes(wanted) or ALL_MODES, wanted, rewind)


def plan_attach(request: AttachRequest, current: Attachment | None, offered: Continuity, *, refuse: bool) -> AttachPlan:
    """Decide from where the client is served.

    A client that is attached continues from what it was sent, not from the serial that it presents: messages may be
    under way.

    Args:
        current: its attachment on this connection, if it has one.
        refuse: break the continuity although it could be kept.
    """
    claimed = current.serial if current else request.serial
    now = ChannelSerial(offered.newest, offered.series)

    def at(serial: ChannelSerial) -> Attachment:
        return Attachment(request.label, request.channel, serial, request.modes, request.params)

    if claimed is None:
        return AttachPlan(at(now), resumed=False)
    if refuse or claimed.series != offered.series or claimed.position < offered.forgotten:
        return AttachPlan(at(now), resumed=False, error=continuity_lost())
    return AttachPlan(at(claimed), resumed=True)


def _rewind(params: Mapping[str, str]) -> Rewind | None:
    if "rewind" not in params:
        return None
    found, limit = _REWIND.fullmatch(params["rewind"]), params.get("rewindLimit", str(_MOST_REWOUND))
    if found is None or not limit.isdecimal():
        raise AblyError(40000, 400, f"invalid rewind: {params['rewind']!r}, limit {limit!r}")
    most = min(int(limit), _MOST_REWOUND)
    if not found[2]:
        return Rewind(min(int(found[1]), most), None)
    return Rewind(most, int(found[1]) * _SECONDS[found[2]])


def _modes(params: Mapping[str, str]) -> Flag:
    modes = Flag(0)
    for name in filter(None, params.get("modes", "").upper().split(",")):
        if name not in Flag.__members__ or not Flag[name] & ALL_MODES:
            raise AblyError(40000, 400, f"invalid channel mode: {name.lower()}")
        modes |= Flag[name]
    return modes
