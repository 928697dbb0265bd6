"""The knobs over HTTP, on the loopback address only: ``GET /control/log`` and ``POST /control/<knob>``."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rebalancer.domain.loopback import LOOPBACK
from sandbox.ably.auth import Capability
from sandbox.ably.errors import AblyError
from sandbox.ably.faults import Surface
from sandbox.ably.server import AblyServer
from sandbox.ably.wire import Frame
from sandbox.serving import serving


class Knob(BaseModel):
    """The body of a request; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Drop(Knob):
    connection: str | None = None


class Freeze(Knob):
    seconds: float = Field(gt=0)


class GoDown(Knob):
    seconds: float | None = Field(default=None, gt=0)


class Gap(Knob):
    channel: str | None = None
    publishes: int = Field(default=1, ge=0)


class Times(Knob):
    times: int = Field(default=1, ge=0)


class ChannelTimes(Times):
    channel: str | None = None


class Enabled(Knob):
    enabled: bool = True


class HttpStatus(Times):
    status: int = Field(ge=400, le=599)
    code: int | None = None
    surface: Surface = "rest"
    path_contains: str = ""


class Zombie(Drop):
    status: int | None = Field(default=None, ge=500, le=504)


class Fatal(Drop):
    code: int = 80000
    status: int = 400


class Discontinuity(Drop):
    channel: str


class Duplicate(Knob):
    channel: str
    message_id: str | None = None


class SendFrame(Drop):
    frame: Frame


class SetCapability(Knob):
    capability: Capability


class AdvanceClock(Knob):
    seconds: float = Field(ge=0)


class PublishRaw(Knob):
    """Wire messages, as one batch. ``data_base64`` in place of ``data`` makes the payload binary."""

    channel: str
    items: list[Frame] = Field(min_length=1)


KNOBS: dict[str, type[Knob]] = {
    "advance_clock": AdvanceClock,
    "come_up": Knob,
    "discontinuity": Discontinuity,
    "drop": Drop,
    "duplicate": Duplicate,
    "expire_tokens": Knob,
    "fatal": Fatal,
    "freeze": Freeze,
    "gap": Gap,
    "go_down": GoDown,
    "http_status": HttpStatus,
    "refuse_continuity": ChannelTimes,
    "refuse_resume": Times,
    "replay_after_loss": Enabled,
    "send_frame": SendFrame,
    "set_capability": SetCapability,
    "swallow_attach": ChannelTimes,
    "thaw": Knob,
    "zombie": Zombie,
}
"""Each is the method of AblyServer of that name, and its arguments."""


def control_port(server: AblyServer, port: int = 0) -> AbstractAsyncContextManager[tuple[str, int]]:
    """Serve a stand-in's knobs on the loopback address inside the context; gives the address.

    Args:
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    return serving(_application(server), LOOPBACK, port, shutdown_timeout=1)


def _application(server: AblyServer) -> web.Application:
    """It changes nothing that the server's methods could not."""
    app = web.Application(client_max_size=1 << 22, middlewares=[_guard])
    app.router.add_get("/control/log", _reader(server))
    app.router.add_post("/control/publish", _publisher(server))
    for name, model in KNOBS.items():
        app.router.add_post(f"/control/{name}", _turner(getattr(server, name), model))
    return app


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_M = TypeVar("_M", bound=Knob)


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Tell every failure as JSON; insist on a content type that a browser cannot send across sites unasked."""
    if request.method == "POST" and request.content_type != "application/json":
        return _error(415, "the body must be application/json")
    try:
        return await handler(request)
    except ValidationError as refused:
        return _error(422, str(refused))
    except AblyError as refused:
        return _error(refused.status, refused.message)
    except web.HTTPException as raised:
        return _error(raised.status, raised.reason)


def _turner(knob: Callable[..., Any], model: type[Knob]) -> _Handler:
    async def turn(request: web.Request) -> web.Response:
        outcome = knob(**dict(await _body(request, model)))
        if inspect.isawaitable(outcome):
            await outcome
        return web.json_response({"status": "done"})

    return turn


def _publisher(server: AblyServer) -> _Handler:
    async def publish(request: web.Request) -> web.Response:
        wanted = await _body(request, PublishRaw)
        published = server.publish_raw(wanted.channel, [_with_binary(item) for item in wanted.items])
        return web.json_response({"messageId": published.id, "serials": published.serials})

    return publish


def _reader(server: AblyServer) -> _Handler:
    async def read(request: web.Request) -> web.Response:
        since = request.query.get("since", "0")
        if not since.isdecimal():
            return _error(422, "since must be the number of an event")
        connections = [
            {"id": each.connection.id, "attached": sorted(each.attachments), "token": each.identity.has_token}
            for each in server.sessions
        ]
        return web.json_response({"connections": connections, **server.log.report(int(since))})

    return read


async def _body(request: web.Request, model: type[_M]) -> _M:
    return model.model_validate_json(await request.read() or b"{}")


def _with_binary(item: Frame) -> Frame:
    if "data_base64" not in item:
        return item
    rest = {key: value for key, value in item.items() if key != "data_base64"}
    try:
        return rest | {"data": base64.b64decode(item["data_base64"], validate=True)}
    except ValueError as problem:
        raise AblyError(40000, 400, f"data_base64: {problem}") from problem


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"status": "error", "message": message}, status=status)
