"""Who may do what: keys of the settings, keys made by `rebalancer keys`, and sessions of browsers."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.callers import CallerOrigin, arrived_here, origin_of
from api.keys import fingerprint, holder, matching_key
from api.limits import RateLimit
from api.state import ServicesOf
from rebalancer.config.api_settings import ApiSettings
from rebalancer.domain.actors import person, who
from rebalancer.domain.scopes import EVERYTHING, Scope
from rebalancer.ledger import audit_log, credentials
from rebalancer.ledger.credentials import Credential, CredentialKind
from rebalancer.services import Services

_bearer = HTTPBearer(auto_error=False, description="MANAGEMENT_API_KEY, or a key made by `rebalancer keys add`")
Given = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]

SETTING = "setting:"
PROOF = "X-Session-Proof"
"""Header with what the page of a session was given beside the cookie. Other servers of the machine may get the cookie,
since cookies know no ports; none of them has the proof, and no page of theirs may send this header here."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})


class RateLimits:
    """How often may be written with one key, and how often one address may try a wrong one."""

    def __init__(self, settings: ApiSettings) -> None:
        self.writes = RateLimit(settings.api_writes_per_minute)
        self.wrong_keys = RateLimit(settings.api_wrong_keys_per_minute)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, as far as that goes on record.

    Attributes:
        actor: name of a key, fingerprint of one of the settings that has none, or who signed in.
        parent: the key, as sessions name it; ``None`` for a session.
        session_id: of a browser that has signed in.
    """

    actor: str
    address: str
    scopes: frozenset[Scope] = EVERYTHING
    parent: str | None = None
    session_id: int | None = None

    @property
    def name(self) -> str:
        """As records of other modules name it."""
        return who(self.actor) if self.session_id is None else f"{person(self.actor)}, on the page"

    def require(self, scope: Scope) -> None:
        """Go on only with a scope; 403 without."""
        if scope not in self.scopes:
            raise HTTPException(403, f"This key may not {scope}: it may {', '.join(sorted(self.scopes))}")

    def note(self, services: Services, action: str, subject: str, **detail: Any) -> None:
        """Put a change on record before it is made.

        Raises:
            RecordUnavailable: it could not be recorded, so it must not be made.
        """
        with services.ledger.begin() as session:
            audit_log.note(session, self.actor, self.address, action=action, subject=subject, detail=detail)


def identify(request: Request, services: ServicesOf, given: Given) -> Caller:
    """Whoever comes with a key or a session.

    403 without either, 401 with a wrong one, 429 for any key from an address that has tried too many wrong ones.
    Sessions are let in meanwhile: they cannot be guessed, and a neighbour's guessing must not keep the owner out.
    """
    if given is not None:
        return by_key(request, services, given.credentials)
    return _by_session(request, services)


def by_key(request: Request, services: Services, key: str) -> Caller:
    """The holder of a key; see :func:`identify`."""
    origin, limits = origin_of(request, services.settings.api), _limits(request)
    _refuse_for(limits.wrong_keys.wait(origin.counted))
    keys = services.settings.api.management_keys
    if (known := matching_key(key, keys)) is not None:
        return Caller(holder(known, services.settings.api), origin.shown, parent=SETTING + fingerprint(known))
    with services.ledger.begin() as session:
        found = credentials.find(session, CredentialKind.KEY, key)
        configured = bool(keys) or credentials.any_key(session)
    if found is not None:
        return Caller(found.name, origin.shown, found.scopes, credentials.parent_of(found.id))
    if not configured:
        raise HTTPException(500, "Management API key not configured")
    raise refusal(limits, origin, "Invalid API key")


def refusal(limits: RateLimits, origin: CallerOrigin, detail: str) -> HTTPException:
    """401 for something that does not open, counted against whoever tried."""
    _refuse_for(limits.wrong_keys.take(origin.counted))
    return HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})


def cookie_name(request: Request) -> str:
    """By port, since browsers give a cookie to every port of a host: two installations do not sign each other out."""
    return f"rebalancer-{request.url.port or request.url.scheme}"


def session_of(request: Request, services: Services) -> Credential | None:
    """The session of the request's cookie, while the key that opened it is good."""
    token = request.cookies.get(cookie_name(request))
    if token is None:
        return None
    with services.ledger.begin() as session:
        found = credentials.find(session, CredentialKind.SESSION, token)
    if found is None or found.parent is None or not found.parent.startswith(SETTING):
        return found
    still = {SETTING + fingerprint(key) for key in services.settings.api.management_keys}
    return found if found.parent in still else None


def _by_session(request: Request, services: Services) -> Caller:
    found = session_of(request, services)
    if found is None:
        raise HTTPException(403, "Not authenticated")
    if request.method not in READING:
        with services.ledger.begin() as session:
            if not credentials.proves(session, found.id, request.headers.get(PROOF, "")):
                raise HTTPException(403, "This browser cannot prove that our own page asks: sign in again")
    origin = origin_of(request, services.settings.api)
    return Caller(found.name, origin.shown, found.scopes, session_id=found.id)


def _writer(request: Request, caller: Annotated[Caller, Depends(identify)]) -> Caller:
    counted = caller.parent or f"session {caller.session_id}"
    _refuse_for(_limits(request).writes.take(counted))
    return caller


def _operator(caller: Annotated[Caller, Depends(_writer)]) -> Caller:
    caller.require(Scope.OPERATE)
    return caller


def _approver(caller: Annotated[Caller, Depends(_writer)]) -> Caller:
    caller.require(Scope.APPROVE)
    return caller


def _trader(caller: Annotated[Caller, Depends(_writer)]) -> Caller:
    caller.require(Scope.TRADE)
    return caller


def may_read(request: Request, services: ServicesOf, given: Given) -> bool:
    """Whether this request may be told of accounts; a wrong key is refused rather than ignored."""
    if given is None and _open_to(request, services.settings.api):
        return True
    return is_known(request, services, given)


def is_known(request: Request, services: ServicesOf, given: Given) -> bool:
    """Whether a request comes with a key or a session, as what tells of people asks for; a wrong key is refused."""
    if given is None and session_of(request, services) is None:
        return False
    identify(request, services, given)
    return True


def _reader(allowed: Annotated[bool, Depends(may_read)]) -> None:
    if not allowed:
        raise HTTPException(403, "Not authenticated")


def _open_to(request: Request, settings: ApiSettings) -> bool:
    """Reading is never open to other machines: the connection itself says where it arrived, no setting does."""
    return not settings.api_reads_private and arrived_here(request)


def _limits(request: Request) -> RateLimits:
    limits: RateLimits = request.app.state.limits
    return limits


def _refuse_for(wait_s: float) -> None:
    if wait_s:
        raise HTTPException(429, "Too many requests", headers={"Retry-After": str(ceil(wait_s))})


LimitsOf = Annotated[RateLimits, Depends(_limits)]
Identified = Annotated[Caller, Depends(identify)]
Writer = Annotated[Caller, Depends(_writer)]
Operator = Annotated[Caller, Depends(_operator)]
Approver = Annotated[Caller, Depends(_approver)]
Trader = Annotated[Caller, Depends(_trader)]
MayRead = Annotated[bool, Depends(may_read)]
IsKnown = Annotated[bool, Depends(is_known)]
ReadAllowed = Depends(_reader)
