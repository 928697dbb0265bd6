"""How the official SDK is pointed at a server: Ably's own, or the one that the settings name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from rebalancer.config.signal_settings import SignalSettings
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.loopback import LOOPBACK_NAMES

# Milliseconds, as the SDK takes them. Heartbeats as frames: it cannot see those of the websocket.
HEARTBEATS = {"heartbeats": "true", "heartbeatInterval": "5000"}
REQUEST_TIMEOUT = 5_000
RETRY_TIMEOUT = 2_000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server other than Ably's own."""

    host: str
    port: int | None


def endpoint(settings: SignalSettings) -> Endpoint | None:
    """The server that the settings name; ``None`` means Ably's own.

    Raises:
        ConfigurationError: the SDK would take the name for a region of Ably's.
    """
    named = settings.realtime_endpoint
    if named is None:
        return None
    host, _, port = named.partition(":")
    if port and "." not in host and host != "localhost":
        problem = f"REALTIME_ENDPOINT = {named} is refused: its host needs a dot, such as ably.local"
        raise ConfigurationError([problem])
    return Endpoint(host, int(port) if port else None)


def realtime_options(settings: SignalSettings) -> dict[str, Any]:
    """Arguments of AblyRealtime. The SDK ignores ``port`` for websockets, so it stays part of the endpoint.

    JSON, because a msgpack frame with a bad character in one message would be lost as a whole.
    """
    named = {"endpoint": settings.realtime_endpoint} if settings.realtime_endpoint else {}
    return (
        _shared(settings)
        | named
        | {
            "realtime_request_timeout": REQUEST_TIMEOUT,
            "disconnected_retry_timeout": RETRY_TIMEOUT,
            "suspended_retry_timeout": REQUEST_TIMEOUT,
            "channel_retry_timeout": RETRY_TIMEOUT,
            "transport_params": HEARTBEATS,
        }
    )


def rest_options(settings: SignalSettings) -> dict[str, Any]:
    """Arguments of AblyRest. Over plain HTTP it refuses to send the key, hence a token."""
    server = endpoint(settings)
    named: dict[str, Any] = {"endpoint": server.host} if server else {}
    if server and server.port:
        named["tls_port" if settings.realtime_tls else "port"] = server.port
    return _shared(settings) | named | ({} if settings.realtime_tls else {"use_token_auth": True})


def bypass_proxy(settings: SignalSettings) -> None:
    """A proxy of the environment can reach Ably, but never a server on this machine."""
    server = endpoint(settings)
    if server and server.host in LOOPBACK_NAMES:
        for name in ("NO_PROXY", "no_proxy"):
            os.environ[name] = ",".join(filter(None, (os.environ.get(name), server.host)))


def _shared(settings: SignalSettings) -> dict[str, Any]:
    key = settings.require("realtime_api_key")
    if ":" not in key:
        raise ConfigurationError(["REALTIME_API_KEY is refused: an Ably key has the form NAME:SECRET"])
    return {
        "key": key,
        "tls": settings.realtime_tls,
        "use_binary_protocol": False,
    }
