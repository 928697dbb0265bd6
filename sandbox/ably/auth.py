"""Who a client is: API keys, token requests signed with them, and the tokens issued in return."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.ably.clock import Clock
from sandbox.ably.errors import AblyError, token_expired
from sandbox.ably.serials import random_text
from sandbox.ably.wire import Frame

Capability = Mapping[str, Sequence[str]]
"""Operations by channel pattern: a name, ``prefix:*`` or ``*``; operations may be ``["*"]``."""

EVERYTHING: Capability = {"*": ["*"]}
_HOUR_MS = 3_600_000
_TOLERATED_SKEW_MS = 120_000


@dataclass(frozen=True, slots=True)
class Identity:
    """What a client proved.

    Attributes:
        client_id: the only client id it may act as; None or ``*`` leave it free.
        capability: what its token allows; the key's own capability applies on top.
        expires_ms: when its token ends; None for a key.
    """

    client_id: str | None
    capability: Capability
    expires_ms: int | None

    @property
    def has_token(self) -> bool:
        return self.expires_ms is not None


class TokenRequest(BaseModel):
    """The body of requestToken; keys that it does not sign are ignored, as the service does."""

    model_config = ConfigDict(extra="ignore")

    keyName: str  # noqa: N815 - wire name
    ttl: int | None = Field(default=None, gt=0)
    capability: str | None = None
    clientId: str | None = None  # noqa: N815 - wire name
    timestamp: int
    nonce: str = Field(min_length=16)
    mac: str

    def signed_text(self) -> str:
        fields = (
            self.keyName,
            self.ttl or "",
            self.capability or "",
            self.clientId or "",
            self.timestamp,
            self.nonce,
            "",
        )
        return "\n".join(str(field) for field in fields)


class Authenticator:
    """One key, and tokens that carry their own signature, so that they outlive a restart of the server."""

    def __init__(self, key: str, clock: Clock) -> None:
        self.key_name, _, self._secret = key.partition(":")
        self.capability: Capability = EVERYTHING
        self._clock = clock
        self._generation = 0
        self._nonces: dict[str, int] = {}

    def identify_key(self, key: str) -> Identity:
        """Raises AblyError for any key but ours."""
        if not hmac.compare_digest(key.encode(), f"{self.key_name}:{self._secret}".encode()):
            raise AblyError(40101, 401, "invalid credentials: unknown key or wrong secret")
        return Identity(None, EVERYTHING, None)

    def identify_token(self, token: str) -> Identity:
        """Raises AblyError, with a code that makes the SDK renew, if the token is spent."""
        claims = self._claims(token)
        if claims["generation"] < self._generation or claims["expires"] <= self._clock.now_ms():
            raise token_expired()
        return Identity(claims["clientId"], json.loads(claims["capability"]), claims["expires"])

    def identify_header(self, header: str) -> Identity:
        """``Basic`` and ``Bearer`` in base64, as the SDK sends them, or a bare token after ``Bearer``."""
        scheme, _, credentials = header.partition(" ")
        if scheme.lower() == "basic":
            return self.identify_key(_from_base64(credentials))
        if scheme.lower() == "bearer":
            return self.identify_token(credentials if "." in credentials else _from_base64(credentials))
        raise AblyError(40101, 401, "invalid credentials: no usable Authorization")

    def allows(self, identity: Identity, operation: str, channel: str) -> None:
        """Raises AblyError 40160 unless both the key and the token grant the operation on the channel."""
        if not all(_grants(held, operation, channel) for held in (self.capability, identity.capability)):
            raise AblyError(40160, 401, f"action not permitted: {operation} on {channel}")

    def issue(self, key_name: str, body: Any) -> Frame:
        """The token details for a signed request; each nonce works once."""
        request = self._checked(key_name, body)
        now = self._clock.now_ms()
        claims: Frame = {
            "keyName": key_name,
            "issued": now,
            "expires": now + (request.ttl or _HOUR_MS),
            "capability": request.capability or json.dumps(self.capability),
            "clientId": request.clientId,
        }
        token = self._sign(claims | {"generation": self._generation, "salt": random_text(8)})
        return {key: value for key, value in claims.items() if value is not None} | {"token": token}

    def expire_issued(self) -> None:
        """Every token issued until now is spent."""
        self._generation += 1

    def _checked(self, key_name: str, body: Any) -> TokenRequest:
        try:
            request = TokenRequest.model_validate(body)
        except ValidationError as problem:
            raise AblyError(40000, 400, f"bad token request: {problem.errors()[0]['msg']}") from problem
        mac = base64.b64encode(self._hmac(request.signed_text())).decode()
        if (request.keyName, key_name) != (self.key_name, self.key_name) or not hmac.compare_digest(mac, request.mac):
            raise AblyError(40101, 401, "invalid credentials: the request's mac does not match")
        now = self._clock.now_ms()
        if abs(now - request.timestamp) > _TOLERATED_SKEW_MS:
            raise AblyError(40104, 401, "timestamp not current")
        self._nonces = {nonce: at for nonce, at in self._nonces.items() if at > now - 2 * _TOLERATED_SKEW_MS}
        if request.nonce in self._nonces:
            raise AblyError(40105, 401, "nonce value replayed")
        self._nonces[request.nonce] = now
        return request

    def _claims(self, token: str) -> Frame:
        body, _, signature = token.rpartition(".")
        if not body or not hmac.compare_digest(signature, self._hmac(body).hex()):
            raise AblyError(40101, 401, "invalid credentials: unknown token")
        claims: Frame = json.loads(base64.urlsafe_b64decode(body.rpartition(".")[2]))
        return claims

    def _sign(self, claims: Frame) -> str:
        body = f"{self.key_name}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()}"
        return f"{body}.{self._hmac(body).hex()}"

    def _hmac(self, text: str) -> bytes:
        return hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).digest()


def _grants(capability: Capability, operation: str, channel: str) -> bool:
    return any(
        _covers(pattern, channel) and ("*" in operations or operation in operations)
        for pattern, operations in capability.items()
    )


def _covers(pattern: str, channel: str) -> bool:
    return pattern in ("*", channel) or (pattern.endswith(":*") and channel.startswith(pattern[:-1]))


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as problem:
        raise AblyError(40101, 401, "invalid credentials: not base64") from problem
