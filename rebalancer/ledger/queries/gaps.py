"""Spans in which signals of a channel may have been missed, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import GapRow, Signal
from rebalancer.ledger.queries.signals import ServingEvent, serving_events
from rebalancer.ledger.session import Session


@dataclass(frozen=True, slots=True)
class GapView:
    """A silence that is longer than the channel's history reaches back.

    Attributes:
        fetched: messages of that time that are on record: history still had them.
        answered_at: when it was decided what follows; ``None`` while that is not known.
        remark: what was found out, and what was done.
        command: that accounts were asked for in answer; ``None`` when none was.
        events: of that answer.
    """

    id: int
    channel: str
    since: datetime
    until: datetime
    fetched: int
    answered_at: datetime | None
    remark: str | None
    command: Command | None
    events: tuple[ServingEvent, ...]


def find_gaps(session: Session, limit: int) -> list[GapView]:
    """The newest first."""
    fetched = (
        select(func.count())
        .where(
            Signal.channel == GapRow.channel,
            Signal.received_at >= GapRow.since,
            Signal.published_at.between(GapRow.since, GapRow.until),
        )
        .scalar_subquery()
    )
    answer = select(Signal.command).where(Signal.id == GapRow.signal_id).scalar_subquery()
    rows = session.execute(select(GapRow, fetched, answer).order_by(GapRow.id.desc()).limit(limit)).all()
    events = serving_events(session, [gap.signal_id for gap, _, _ in rows if gap.signal_id is not None])
    return [
        GapView(
            id=gap.id,
            channel=gap.channel,
            since=gap.since,
            until=gap.until,
            fetched=count,
            answered_at=gap.answered_at,
            remark=gap.remark,
            command=None if command is None else Command(command),
            events=events[gap.signal_id] if gap.signal_id is not None else (),
        )
        for gap, count, command in rows
    ]
