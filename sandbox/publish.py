"""Publish a signal to the Ably stand-in that the settings name, as a strategy provider would."""

from __future__ import annotations

import json
from uuid import uuid4

from ably.sync import AblyRestSync
from ably.sync.types.message import Message

from rebalancer.config.signal_settings import SignalSettings
from rebalancer.domain.errors import ConfigurationError


def publish(settings: SignalSettings, channel: str, payload: str) -> str:
    """Publish one message.

    Args:
        payload: JSON, for example ``{"exec": "rebalance"}``.

    Returns:
        The message's id.

    Raises:
        ConfigurationError: no stand-in is named, or the payload is not JSON. Ably's own service is never published to.
    """
    if settings.realtime_endpoint is None:
        raise ConfigurationError(["REALTIME_ENDPOINT is not set: only the sandbox's own stand-in is published to"])
    try:
        data = json.loads(payload)
    except json.JSONDecodeError as wrong:
        raise ConfigurationError(
            [f'the payload is not JSON: {wrong}; use for example {{"exec": "rebalance"}}']
        ) from wrong
    host, _, port = settings.realtime_endpoint.partition(":")
    key = settings.require("realtime_api_key")
    ably = AblyRestSync(key, endpoint=host, port=int(port or 80), tls=False, use_token_auth=True)
    message_id = f"{uuid4().hex}:0"
    ably.channels.get(channel).publish(Message(data=data, id=message_id))
    return message_id
