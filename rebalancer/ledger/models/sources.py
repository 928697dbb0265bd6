"""Tables that strategies' targets come from, as they were read last."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Date, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rebalancer.ledger.models.base import Base, Json


class SourceRow(Base):
    """One strategy's table: what was accepted of it, and what is wrong with it now."""

    __tablename__ = "sources"

    strategy: Mapped[str] = mapped_column(primary_key=True)
    definition: Mapped[str]
    """Of the source that was read last; the server's validators mean nothing to another."""
    version: Mapped[int] = mapped_column(server_default=text("0"))
    """How often a table was accepted; whoever has read it before another did starts anew."""
    digest: Mapped[str | None]
    """Of the accepted weights; ``None`` before the first."""
    as_of: Mapped[date | None] = mapped_column(Date())
    weights: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    """The accepted weights by symbol."""
    validators: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    """What the server said of the accepted version, by header."""
    changed_at: Mapped[datetime | None]
    """When the newest table was accepted."""
    read_at: Mapped[datetime | None]
    """When it was last read and its answer understood, whatever became of it."""
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    """Readings in a row that failed."""
    rule: Mapped[str | None]
    """Why it is not accepted as it is; ``None`` as well where it could not be read."""
    problem: Mapped[str | None]
    problem_since: Mapped[datetime | None]
    told: Mapped[bool] = mapped_column(server_default=text("false"))
    """People know of the problem."""
    held: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    """What waits for its owner to accept it: digest, as_of, weights, validators."""
    asked_at: Mapped[datetime | None]
    """A run has found another table than the accepted one: it is to be looked at at once."""
