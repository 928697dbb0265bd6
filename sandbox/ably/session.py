"""One client's conversation: what it asks for and what it is sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox.ably.attaching import Attachment, attached_frame, channel_name, parse_attach
from sandbox.ably.auth import Authenticator, Identity
from sandbox.ably.clock import Clock
from sandbox.ably.connections import Connection, Connections
from sandbox.ably.errors import AblyError, continuity_lost, token_expired
from sandbox.ably.event_log import EventLog
from sandbox.ably.faults import Faults
from sandbox.ably.frame_writer import Pump
from sandbox.ably.hub import Hub
from sandbox.ably.publishing import checked_messages
from sandbox.ably.store import Batch
from sandbox.ably.wire import Action, Flag, Frame, decode, for_reader


@dataclass(frozen=True, slots=True)
class Services:
    """What all sessions and all REST calls share.

    Attributes:
        clock: the client's idea of time, for tokens and the time call; messages age by the hub's.
    """

    hub: Hub
    auth: Authenticator
    connections: Connections
    clock: Clock
    log: EventLog
    faults: Faults


class _Authorization(BaseModel):
    model_config = ConfigDict(extra="ignore")

    accessToken: str  # noqa: N815 - wire name


class _Inbound(BaseModel):
    """A frame from a client; keys of actions that are not served are ignored."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    action: int
    id: str | None = None
    channel: str = ""
    channelSerial: str | None = None  # noqa: N815 - wire name
    flags: int = 0
    params: dict[str, str] | None = None
    msgSerial: int = 0  # noqa: N815 - wire name
    messages: list[dict[str, Any]] | None = None
    auth: _Authorization | None = None


class Session:
    """Serves one connection over one socket; attachments belong to the socket, so that a client attaches anew."""

    def __init__(self, services: Services, pump: Pump, connection: Connection, identity: Identity) -> None:
        self.connection = connection
        self.identity = identity
        self.pump = pump
        self.attachments: dict[str, Attachment] = {}
        self._services = services
        self._retired = False
        self._expiry: asyncio.TimerHandle | None = None

    async def run(self, resume_error: AblyError | None) -> None:
        """Serve until the socket closes; ``resume_error`` tells the client why its connection is a new one."""
        self._log("connected", resumed=self.connection.resumed, token=self.identity.has_token)
        self._greet(resume_error)
        try:
            await self.pump.run(self._receive)
        finally:
            self._watch_token(None)
            self._log("gone")

    def retire(self, farewell: Frame) -> None:
        """Send a last frame and serve nothing more. Closing is left to the client: the SDK's zombies depend on that."""
        self._retired = True
        self.attachments.clear()
        self.pump.send(farewell)

    def finish(self, farewell: Frame) -> None:
        """Send a last frame, then close the socket."""
        self.retire(farewell)
        self.pump.close()

    def deliver(self, batch: Batch) -> None:
        for label, attachment in list(self.attachments.items()):
            if attachment.channel == batch.channel:
                self._deliver(label, attachment, batch)

    def announce_discontinuity(self, channel: str) -> None:
        """An ATTACHED that nobody asked for: the client missed something, and continues from now."""
        for label, attachment in list(self.attachments.items()):
            if attachment.channel == channel:
                self.attachments[label] = self._services.hub.renewed(attachment)
                self.pump.send(attached_frame(self.attachments[label], attachment.modes, continuity_lost()))

    def _greet(self, error: AblyError | None = None) -> None:
        """CONNECTED, which also answers AUTH."""
        self._watch_token(self.identity.expires_ms)
        assumed = {"clientId": self.identity.client_id} if self.identity.client_id not in (None, "*") else {}
        details = {
            "connectionKey": self.connection.key,
            "connectionStateTtl": self._services.connections.ttl_ms,
            "maxFrameSize": 524_288,
            "maxIdleInterval": self.pump.manner.max_idle_interval_ms,
            "maxInboundRate": 250,
            "maxMessageSize": 65_536,
            "serverId": "sandbox",
        }
        frame = {
            "action": Action.CONNECTED,
            "connectionId": self.connection.id,
            "connectionKey": self.connection.key,
            "connectionDetails": details | assumed,
        }
        self.pump.send(frame | ({"error": error.as_dict()} if error else {}))

    def _watch_token(self, expires_ms: int | None) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if expires_ms is not None:
            left_s = (expires_ms - self._services.clock.now_ms()) / 1000
            self._expiry = asyncio.get_running_loop().call_later(max(left_s, 0), self.expire_token)

    def expire_token(self) -> None:
        """Tell the client to renew its token and resume."""
        self._log("token_expired")
        self.retire({"action": Action.DISCONNECTED, "error": token_expired().as_dict()})

    def _receive(self, raw: str | bytes) -> None:
        if self._retired:
            return
        try:
            self._handle(_Inbound.model_validate(decode(raw, self.pump.manner.format)))
        except ValidationError as problem:
            self._fail(AblyError(40000, 400, f"bad frame: {problem.errors()[0]['msg']}"))
        except AblyError as problem:
            self._fail(problem)

    def _handle(self, frame: _Inbound) -> None:
        match frame.action:
            case Action.HEARTBEAT:
                self._log("ping")
                self.pump.send({"action": Action.HEARTBEAT} | ({"id": frame.id} if frame.id else {}))
            case Action.ATTACH:
                self._attach(frame)
            case Action.DETACH:
                self._detach(frame)
            case Action.MESSAGE:
                self._publish(frame)
            case Action.AUTH:
                self._authorize(frame)
            case Action.CLOSE:
                self._log("close")
                self._services.connections.discard(self.connection)
                self.finish({"action": Action.CLOSED})
            case other:
                self._log("ignored", action=other)

    def _attach(self, frame: _Inbound) -> None:
        self._log("attach", channel=frame.channel, serial=frame.channelSerial, flags=frame.flags)
        try:
            request = parse_attach(frame.channel, frame.channelSerial, frame.flags, frame.params or {})
            self._services.auth.allows(self.identity, "subscribe", request.channel)
        except AblyError as problem:
            self._log("attach_refused", channel=frame.channel, code=problem.code)
            self.pump.send({"action": Action.ERROR, "channel": frame.channel, "error": problem.as_dict()})
            return
        if self._services.faults.swallowed_attaches.take(request.channel):
            self._log("attach_swallowed", channel=request.channel)
            return
        plan, replay = self._services.hub.attach(request, self.attachments.get(request.label))
        self.attachments[request.label] = plan.attachment
        self.pump.send(plan.frame())
        self._log("attached", channel=request.channel, resumed=plan.resumed, replayed=len(replay))
        for batch in replay:
            self._deliver(request.label, self.attachments[request.label], batch)

    def _detach(self, frame: _Inbound) -> None:
        self.attachments.pop(frame.channel, None)
        self._log("detach", channel=frame.channel)
        self.pump.send({"action": Action.DETACHED, "channel": frame.channel})

    def _publish(self, frame: _Inbound) -> None:
        answer: Frame = {"msgSerial": frame.msgSerial, "count": 1}
        try:
            channel, _ = channel_name(frame.channel)
            self._services.auth.allows(self.identity, "publish", channel)
            items = checked_messages(frame.messages or [], self.identity)
            base = f"{self.connection.id}:{frame.msgSerial}"
            published = self._services.hub.publish(channel, items, base_id=base, connection_id=self.connection.id)
        except AblyError as problem:
            self._log("nack", channel=frame.channel, code=problem.code)
            self.pump.send({"action": Action.NACK, **answer, "error": problem.as_dict()})
            return
        self._log("ack", channel=channel)
        self.pump.send({"action": Action.ACK, **answer, "res": [{"serials": list(published.serials)}]})

    def _authorize(self, frame: _Inbound) -> None:
        if frame.auth is None:
            raise AblyError(40000, 400, "AUTH without a token")
        renewed = self._services.auth.identify_token(frame.auth.accessToken)
        self.identity = replace(renewed, client_id=renewed.client_id or self.identity.client_id)
        self._log("auth")
        self._greet()

    def _deliver(self, label: str, attachment: Attachment, batch: Batch) -> None:
        if not self.pump.manner.echo and batch.connection_id == self.connection.id:
            return
        serial = replace(attachment.serial, position=max(batch.position, attachment.serial.position))
        self.attachments[label] = replace(attachment, serial=serial)
        if not attachment.modes & Flag.SUBSCRIBE:
            return
        frame = {
            "action": Action.MESSAGE,
            "channel": label,
            "channelSerial": str(serial),
            "id": batch.id,
            "timestamp": int(batch.position[:14]),
            "messages": [for_reader(item, self.pump.manner.format) for item in batch.items],
        }
        self.pump.send(frame | ({"connectionId": batch.connection_id} if batch.connection_id else {}))
        self._log("deliver", channel=batch.channel, ids=[item["id"] for item in batch.items])

    def _fail(self, error: AblyError) -> None:
        self._log("failed", code=error.code)
        self.finish({"action": Action.ERROR, "error": error.as_dict()})

    def _log(self, kind: str, **fields: Any) -> None:
        self._services.log.record(kind, connection=self.connection.id, **fields)
