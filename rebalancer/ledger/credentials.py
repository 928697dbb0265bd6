"""Keys of programs, one-time links, sessions of browsers and links that decide: made here, kept as hashes, ended for
good.

Each is 256 bits of chance, so that a plain hash betrays nothing and none can be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from rebalancer.domain.scopes import Scope, with_reading
from rebalancer.ledger.models import CredentialRow
from rebalancer.ledger.session import Session

APPROVAL = "approval:"
KEPT = timedelta(days=30)
"""How long links and sessions stay on record after their end."""


class CredentialKind(StrEnum):
    """What opens."""

    KEY = "key"
    LINK = "link"
    SESSION = "session"
    DECISION = "decision"


@dataclass(frozen=True, slots=True)
class Credential:
    """One of them, without what opens; ``ended_at`` is when it was revoked, used or left."""

    id: int
    kind: CredentialKind
    name: str
    scopes: frozenset[Scope]
    parent: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session: ``token`` is the cookie's, ``proof`` the page's."""

    token: str
    proof: str


@dataclass(frozen=True, slots=True)
class DecisionLink:
    """What lets whoever has it decide on one plan, once.

    Attributes:
        target: that it was sent to.
    """

    id: int
    approval_id: int
    target: str


def make_key(session: Session, name: str, scopes: Iterable[Scope], by: str) -> str | None:
    """A new key, told this once; ``None`` while a key of that name is in force."""
    if (
        session.scalar(select(CredentialRow.id).where(_in_force(CredentialKind.KEY), CredentialRow.name == name))
        is not None
    ):
        return None
    token = _token(CredentialKind.KEY)
    session.add(_row(CredentialKind.KEY, token, name, scopes, by))
    return token


def make_link(session: Session, scopes: Iterable[Scope], by: str, lifetime: timedelta) -> str:
    """What a one-time link carries: good for one session, and for ``lifetime``."""
    token = _token(CredentialKind.LINK)
    row = _row(CredentialKind.LINK, token, by, scopes, by)
    row.expires_at = datetime.now(UTC) + lifetime
    session.add(row)
    return token


def redeem(session: Session, token: str) -> Credential | None:
    """Use up a link: the first who comes gets it, everybody after that ``None``."""
    mine = and_(_in_force(CredentialKind.LINK), CredentialRow.hash == _hash(token))
    used = update(CredentialRow).where(mine).values(ended_at=func.now(), ended_by="used").returning(CredentialRow)
    row = session.scalars(used).one_or_none()
    return None if row is None else _credential(row)


def make_decision_link(session: Session, approval_id: int, target: str, expires_at: datetime) -> str:
    """What a link carries that decides on that plan alone."""
    token = _token(CredentialKind.DECISION)
    row = _row(CredentialKind.DECISION, token, target, (), target)
    row.parent, row.expires_at = f"{APPROVAL}{approval_id}", expires_at
    session.add(row)
    return token


def decision_link(session: Session, token: str) -> DecisionLink | None:
    """What a link that is in force decides on."""
    found = find(session, CredentialKind.DECISION, token)
    if found is None or found.parent is None:
        return None
    return DecisionLink(found.id, int(found.parent.removeprefix(APPROVAL)), found.name)


def use_up(session: Session, link: DecisionLink) -> bool:
    """End a link; ``False`` if somebody has used it meanwhile."""
    return end(session, link.id, "used") == 1


def open_session(
    session: Session, name: str, scopes: Iterable[Scope], parent: str | None, lifetime: timedelta
) -> Opened:
    """A browser's session for whoever has shown a key or a link; takes the opportunity to forget old ones."""
    forgotten = and_(CredentialRow.kind != CredentialKind.KEY, CredentialRow.expires_at < func.now() - KEPT)
    session.execute(delete(CredentialRow).where(forgotten))
    opened = Opened(_token(CredentialKind.SESSION), secrets.token_urlsafe(32))
    row = _row(CredentialKind.SESSION, opened.token, name, scopes, name)
    row.proof, row.parent = _hash(opened.proof), parent
    row.expires_at = datetime.now(UTC) + lifetime
    session.add(row)
    return opened


def find(session: Session, kind: CredentialKind, token: str) -> Credential | None:
    """Whose it is, while it is in force."""
    row = session.scalars(
        select(CredentialRow).where(_in_force(kind), CredentialRow.hash == _hash(token))
    ).one_or_none()
    return None if row is None else _credential(row)


def proves(session: Session, session_id: int, proof: str) -> bool:
    """Whether a session's page shows what it was given."""
    kept = session.scalar(select(CredentialRow.proof).where(CredentialRow.id == session_id))
    return kept is not None and hmac.compare_digest(kept, _hash(proof))


def in_force(session: Session) -> list[Credential]:
    """All that open, oldest first."""
    alive = or_(*(_in_force(kind) for kind in CredentialKind))
    return [_credential(row) for row in session.scalars(select(CredentialRow).where(alive).order_by(CredentialRow.id))]


def any_key(session: Session) -> bool:
    """Whether a key was made that is in force."""
    return session.scalar(select(CredentialRow.id).where(_in_force(CredentialKind.KEY)).limit(1)) is not None


def end(session: Session, credential_id: int, by: str) -> int:
    """Revoke one, and with a key the sessions that were opened with it.

    Returns:
        How many have ended.
    """
    mine = or_(CredentialRow.id == credential_id, CredentialRow.parent == parent_of(credential_id))
    ended = update(CredentialRow).where(mine, CredentialRow.ended_at.is_(None))
    done = session.scalars(ended.values(ended_at=func.now(), ended_by=by).returning(CredentialRow.id))
    return len(done.all())


def parent_of(key_id: int) -> str:
    """How a session names the key that it was opened with."""
    return f"key:{key_id}"


def _in_force(kind: CredentialKind) -> ColumnElement[bool]:
    lasts = or_(CredentialRow.expires_at.is_(None), CredentialRow.expires_at > func.now())
    return and_(CredentialRow.kind == kind, CredentialRow.ended_at.is_(None), lasts)


def _row(kind: CredentialKind, token: str, name: str, scopes: Iterable[Scope], by: str) -> CredentialRow:
    kept = sorted(with_reading(frozenset(scopes)))
    return CredentialRow(kind=kind, name=name, hash=_hash(token), scopes=kept, created_by=by)


def _token(kind: CredentialKind) -> str:
    """Recognisable, so that logs and scanners know it for a secret."""
    return f"rb{kind[0]}_{secrets.token_urlsafe(32)}"


def _hash(token: str) -> str:
    return hashlib.sha256(b"rebalancer credential " + token.encode(errors="replace")).hexdigest()


def _credential(row: CredentialRow) -> Credential:
    scopes = frozenset(map(Scope, row.scopes))
    return Credential(
        id=row.id,
        kind=CredentialKind(row.kind),
        name=row.name,
        scopes=scopes,
        parent=row.parent,
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
    )
