"""Who asked for which change, on record before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from rebalancer.ledger.models import AuditRow
from rebalancer.ledger.session import Session


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A change that somebody asked for."""

    id: int
    at: datetime
    actor: str
    address: str
    action: str
    subject: str
    detail: dict[str, Any]


def note(
    session: Session, actor: str, address: str, *, action: str, subject: str, detail: dict[str, Any] | None = None
) -> None:
    """Put a change on record; commit before making it."""
    session.add(AuditRow(actor=actor, address=address, action=action, subject=subject, detail=detail or {}))


def recent(session: Session, limit: int, before: int | None = None) -> list[AuditEntry]:
    """Newest first, from below the id ``before`` on."""
    rows = session.scalars(
        select(AuditRow)
        .where(AuditRow.id < before if before is not None else AuditRow.id.is_not(None))
        .order_by(AuditRow.id.desc())
        .limit(limit)
    )
    return [
        AuditEntry(
            id=row.id,
            at=row.at,
            actor=row.actor,
            address=row.address,
            action=row.action,
            subject=row.subject,
            detail=row.detail,
        )
        for row in rows
    ]
