"""Bearer keys: for everything that changes something, and for reading where the owner wants that."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.keys import fingerprint, management_keys, matching_key
from api.limits import RateLimit
from api.state import ServicesOf
from rebalancer.ledger import logbook
from rebalancer.services import Services
from rebalancer.settings import Settings

_bearer = HTTPBearer(auto_error=False, description="MANAGEMENT_API_KEY")
Given = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class Limits:
    """How often may be written with one key, and how often one address may try a wrong one."""

    def __init__(self, settings: Settings) -> None:
        self.writes = RateLimit(settings.api_writes_per_minute)
        self.wrong_keys = RateLimit(settings.api_writes_per_minute)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, as far as that goes on record.

    Attributes:
        actor: fingerprint of the key.
        address: where the request came from.
    """

    actor: str
    address: str

    @property
    def name(self) -> str:
        """As records of other modules name it."""
        return f"API key {self.actor}"

    def note(self, services: Services, action: str, subject: str, **detail: Any) -> None:
        """Put a change on record before it is made.

        Raises:
            LedgerError: it could not be recorded, so it must not be made.
        """
        with services.ledger.begin() as session:
            logbook.note(session, self.actor, self.address, action=action, subject=subject, detail=detail)


def identify(request: Request, services: ServicesOf, given: Given) -> Caller:
    """Refuse a request without a management key: 403 without any, 401 with a wrong one, 429 after too many of those."""
    keys = management_keys(services.settings)
    if not keys:
        raise HTTPException(500, "Management API key not configured")
    if given is None:
        raise HTTPException(403, "Not authenticated")
    address = request.client.host if request.client else "unknown"
    key = matching_key(given.credentials, keys)
    if key is None:
        _take(_limits(request).wrong_keys, address)
        raise HTTPException(401, "Invalid API key", headers={"WWW-Authenticate": "Bearer"})
    return Caller(fingerprint(key), address)


def _writer(request: Request, caller: Annotated[Caller, Depends(identify)]) -> Caller:
    _take(_limits(request).writes, caller.actor)
    return caller


def _reader(request: Request, services: ServicesOf, given: Given) -> None:
    if services.settings.api_reads_private:
        identify(request, services, given)


def _limits(request: Request) -> Limits:
    limits: Limits = request.app.state.limits
    return limits


def _take(limit: RateLimit, name: str) -> None:
    wait_s = limit.take(name)
    if wait_s:
        raise HTTPException(429, "Too many requests", headers={"Retry-After": str(ceil(wait_s))})


Identified = Annotated[Caller, Depends(identify)]
Writer = Annotated[Caller, Depends(_writer)]
ReadAllowed = Depends(_reader)
