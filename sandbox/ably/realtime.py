"""The realtime half: from the upgrade request to a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from sandbox.ably.auth import Identity
from sandbox.ably.errors import AblyError
from sandbox.ably.frame_writer import Manner, Pump
from sandbox.ably.options import AblyOptions
from sandbox.ably.rest import error_response
from sandbox.ably.session import Services, Session
from sandbox.ably.wire import Action, Format, Frame, encode

_LARGEST_FRAME = 1 << 20
_LONGEST_IDLE_MS = 1_800_000


class Handshake(BaseModel):
    """The query of an upgrade request; parameters of other SDKs are ignored."""

    model_config = ConfigDict(extra="ignore")

    key: str | None = None
    token: str | None = Field(default=None, validation_alias=AliasChoices("accessToken", "access_token"))
    client_id: str | None = Field(default=None, alias="clientId")
    format: Format = Format.JSON
    resume: str | None = None
    echo: bool = True
    heartbeats: bool = True
    heartbeat_interval_ms: int | None = Field(default=None, alias="heartbeatInterval")


class Realtime:
    """Opens sessions, on any path. Failures after the upgrade are told in frames, as the service does."""

    def __init__(self, services: Services, options: AblyOptions) -> None:
        self.sessions: list[Session] = []
        self._services = services
        self._options = options

    async def handle(self, request: web.Request) -> web.StreamResponse:
        fault = self._services.faults.take_http("upgrade", request.rel_url.raw_path)
        if fault is not None:
            return error_response(request, AblyError(fault.code, fault.status, "a fault of the sandbox"))
        socket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST_FRAME)
        await socket.prepare(request)
        try:
            handshake = _handshake(request.query)
            identity = self._identify(handshake)
        except AblyError as problem:
            self._services.log.record("connect_refused", code=problem.code)
            await _refuse(socket, problem, request.query.get("format", ""))
            return socket
        manner = Manner(handshake.format, handshake.heartbeats, handshake.echo, self._idle_interval(handshake))
        pump = Pump(socket, request.transport, manner, self._services.faults.thawed)
        await self._serve(handshake.resume, identity, pump)
        return socket

    async def _serve(self, resume: str | None, identity: Identity, pump: Pump) -> None:
        refuse = resume is not None and self._services.faults.refused_resumes.take(None)
        connection, error = self._services.connections.open(resume, refuse=refuse)
        for stale in [each for each in self.sessions if each.connection is connection]:
            self._end(stale)
            stale.pump.abort()
        session = Session(self._services, pump, connection, identity)
        self.sessions.append(session)
        self._services.hub.subscribers.append(session)
        try:
            await session.run(error)
        finally:
            if session in self.sessions:
                self._end(session)
                self._services.connections.leave(connection)

    def _end(self, session: Session) -> None:
        self.sessions.remove(session)
        self._services.hub.subscribers.remove(session)

    def _identify(self, handshake: Handshake) -> Identity:
        if handshake.token is not None:
            identity = self._services.auth.identify_token(handshake.token)
        elif handshake.key is not None:
            identity = self._services.auth.identify_key(handshake.key)
        else:
            raise AblyError(40101, 401, "invalid credentials: neither key nor token")
        return _acting_as(identity, handshake.client_id)

    def _idle_interval(self, handshake: Handshake) -> int:
        if handshake.heartbeat_interval_ms is None:
            return self._options.max_idle_interval_ms
        return min(max(handshake.heartbeat_interval_ms, self._options.min_idle_interval_ms), _LONGEST_IDLE_MS)


def _handshake(query: Mapping[str, str]) -> Handshake:
    try:
        return Handshake.model_validate(dict(query))
    except ValidationError as problem:
        first = problem.errors()[0]
        raise AblyError(40000, 400, f"invalid parameter {first['loc'][0]}: {first['msg']}") from problem


def _acting_as(identity: Identity, claimed: str | None) -> Identity:
    if claimed is not None and identity.client_id not in (None, "*", claimed):
        raise AblyError(40102, 401, "the token does not allow this client id")
    return replace(identity, client_id=claimed or identity.client_id)


async def _refuse(socket: web.WebSocketResponse, error: AblyError, wanted: str) -> None:
    frame: Frame = {"action": Action.ERROR, "error": error.as_dict()}
    if wanted == Format.MSGPACK:
        await socket.send_bytes(encode(frame, Format.MSGPACK))
    else:
        await socket.send_str(encode(frame, Format.JSON).decode())
    await socket.close()
