"""Who may enter the API, beside the keys of the settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.ledger.models.base import Base


class CredentialRow(Base):
    """A program's key, a one-time link, a browser's session, or a link that decides on one plan. What opens is kept as
    a hash only.
    """

    __tablename__ = "credentials"
    __table_args__ = (
        CheckConstraint("kind IN ('key', 'link', 'session', 'decision')", name="kind"),
        CheckConstraint("kind = 'key' OR expires_at IS NOT NULL", name="expires"),
        UniqueConstraint("hash"),
        Index("uq_credentials_name", "name", unique=True, postgresql_where=text("kind = 'key' AND ended_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    """Of a key, its own; of a link that decides, the target that it is sent to; else who made the link or signed in."""
    hash: Mapped[str]
    proof: Mapped[str | None]
    """Hash of what a session's page has to show beside the cookie in order to change something."""
    scopes: Mapped[Any] = mapped_column(JSONB)
    parent: Mapped[str | None]
    """The key that a session was opened with: ``key:ID``, or ``setting:FINGERPRINT`` for one of the settings. Of a link
    that decides: ``approval:ID``.
    """
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    created_by: Mapped[str]
    expires_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]
