"""The REST half: time, tokens, publish, history."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import unquote_plus, urlencode

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.ably.attaching import channel_name
from sandbox.ably.auth import Identity
from sandbox.ably.errors import AblyError
from sandbox.ably.publishing import checked_messages
from sandbox.ably.session import Services
from sandbox.ably.store import HistorySlice
from sandbox.ably.wire import MIME_TYPES, Format, decode, encode, for_reader


class HistoryQuery(BaseModel):
    """The parameters of a history request; `cursor` is ours, from the Link header."""

    model_config = ConfigDict(extra="ignore")

    start: int = Field(default=0, ge=0)
    end: int | None = Field(default=None, ge=0)
    limit: int = Field(default=100, ge=1, le=1000)
    direction: Literal["backwards", "forwards"] = "backwards"
    cursor: str | None = Field(default=None, pattern=r"^\d{14}-\d{3}_\d{1,4}$")

    def after(self) -> tuple[str, int] | None:
        position, _, ordinal = (self.cursor or "").partition("_")
        return (position, int(ordinal)) if position else None


class Rest:
    """Answers one request at a time, in the format that it accepts."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, request: web.Request) -> web.Response:
        """Errors are answered in the service's shape, armed faults included."""
        path = request.rel_url.raw_path
        try:
            self._strike(path)
            return await self._route(request, [unquote_plus(part) for part in path.strip("/").split("/")])
        except AblyError as problem:
            self._services.log.record("rest_error", method=request.method, path=path, code=problem.code)
            return error_response(request, problem)

    def _strike(self, path: str) -> None:
        fault = self._services.faults.take_http("rest", path)
        if fault is not None:
            raise AblyError(fault.code, fault.status, "a fault of the sandbox")

    async def _route(self, request: web.Request, parts: list[str]) -> web.Response:
        self._services.log.record("rest", method=request.method, path="/".join(parts))
        match request.method, parts:
            case "GET", ["time"]:
                return _response(request, 200, [self._services.clock.now_ms()])
            case "POST", ["keys", key_name, "requestToken"]:
                return _response(request, 201, self._services.auth.issue(key_name, await _body(request)))
            case "POST", ["channels", name, "messages"]:
                return await self._publish(request, name)
            case "GET", ["channels", name, "messages" | "history"]:
                return self._history(request, name)
        raise AblyError(40400, 404, f"could not find path: {request.method} {request.path}")

    async def _publish(self, request: web.Request, name: str) -> web.Response:
        identity, (channel, _) = self._identity(request), channel_name(name)
        self._services.auth.allows(identity, "publish", channel)
        items = checked_messages(await _body(request), identity)
        published = self._services.hub.publish(channel, items)
        answer = {"channel": channel, "messageId": published.id, "serials": list(published.serials)}
        return _response(request, 201, answer)

    def _history(self, request: web.Request, name: str) -> web.Response:
        channel, _ = channel_name(name)
        self._services.auth.allows(self._identity(request), "history", channel)
        query = _history_query(request.query)
        forwards = query.direction == "forwards"
        wanted = HistorySlice(channel, query.start, query.end, forwards, query.limit + 1, query.after())
        rows = self._services.hub.history(wanted)
        page = rows[: query.limit]
        links = [_link(request, query, None, "first")]
        if len(rows) > query.limit:
            (position, ordinal), _ = page[-1]
            links.append(_link(request, query, f"{position}_{ordinal}", "next"))
        items = [for_reader(item, _accepted(request)) for _, item in page]
        return _response(request, 200, items, {"Link": ", ".join(links)})

    def _identity(self, request: web.Request) -> Identity:
        auth, header = self._services.auth, request.headers.get("Authorization")
        if header is None and "key" in request.query:
            identity = auth.identify_key(request.query["key"])
        elif header is None and (token := request.query.get("access_token") or request.query.get("accessToken")):
            identity = auth.identify_token(token)
        else:
            identity = auth.identify_header(header or "")
        claimed = request.headers.get("X-Ably-ClientId")
        return replace(identity, client_id=_plain(claimed)) if claimed and not identity.has_token else identity


def error_response(request: web.Request, error: AblyError) -> web.Response:
    """As Ably answers: the code and the reason in headers and in the body."""
    headers = {"X-Ably-Errorcode": str(error.code), "X-Ably-Errormessage": error.message.replace("\n", " ")}
    return _response(request, error.status, {"error": error.as_dict()}, headers)


def _response(request: web.Request, status: int, value: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    accepted = _accepted(request)
    return web.Response(status=status, body=encode(value, accepted), content_type=MIME_TYPES[accepted], headers=headers)


def _accepted(request: web.Request) -> Format:
    accepts = request.headers.get("Accept", "") + request.query.get("format", "")
    return Format.MSGPACK if "msgpack" in accepts else Format.JSON


async def _body(request: web.Request) -> Any:
    return decode(await request.read(), Format.MSGPACK if "msgpack" in request.content_type else Format.JSON)


def _history_query(parameters: Mapping[str, str]) -> HistoryQuery:
    try:
        return HistoryQuery.model_validate(dict(parameters))
    except ValidationError as problem:
        first = problem.errors()[0]
        raise AblyError(40003, 400, f"invalid parameter {first['loc'][0]}: {first['msg']}") from problem


def _link(request: web.Request, query: HistoryQuery, cursor: str | None, relation: str) -> str:
    """Relative and free of commas, as all SDKs can follow it."""
    parameters = query.model_dump(exclude_none=True, exclude={"cursor"}) | ({"cursor": cursor} if cursor else {})
    return f'<./{request.path.rpartition("/")[2]}?{urlencode(parameters)}>; rel="{relation}"'


def _plain(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as problem:
        raise AblyError(40012, 400, "X-Ably-ClientId is not base64") from problem
