"""Every signal that arrived, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select

from rebalancer.ledger.models import Channel, Event, Signal, SignalEvent
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState, SignalState


@dataclass(frozen=True, slots=True)
class ServingEvent:
    """An event that serves a signal."""

    event_id: UUID
    account_id: str
    state: EventState


@dataclass(frozen=True, slots=True)
class SignalView:
    """A signal as it arrived."""

    id: int
    channel: str
    message_id: str
    state: SignalState
    command: str | None
    payload: Any
    remark: str | None
    published_at: datetime | None
    received_at: datetime
    events: tuple[ServingEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelView:
    """How a strategy's channel is heard."""

    channel: str
    heard_until: datetime
    attached_since: datetime | None
    trouble: str | None


def find_signals(
    session: Session,
    limit: int,
    *,
    state: SignalState | None = None,
    channel: str | None = None,
    before: int | None = None,
) -> list[SignalView]:
    """Newest first, from below the id ``before`` on."""
    chosen: list[ColumnElement[bool]] = []
    if state is not None:
        chosen.append(Signal.state == state)
    if channel is not None:
        chosen.append(Signal.channel == channel)
    if before is not None:
        chosen.append(Signal.id < before)
    rows = list(session.scalars(select(Signal).where(*chosen).order_by(Signal.id.desc()).limit(limit)))
    serving = serving_events(session, [row.id for row in rows])
    return [_view(row, serving[row.id]) for row in rows]


def newest_messages(session: Session, among: int) -> list[SignalView]:
    """The newest message of each channel that is listened to, among the newest signals; without their events."""
    heard = select(Channel.channel).where(Channel.left_at.is_(None))
    newest: dict[str, Signal] = {}
    for row in session.scalars(select(Signal).order_by(Signal.id.desc()).limit(among)):
        newest.setdefault(row.channel, row)
    return [
        _view(newest[channel], ()) for channel in session.scalars(heard.order_by(Channel.channel)) if channel in newest
    ]


def events_of_message(session: Session, channel: str, message_id: str) -> dict[str, UUID]:
    """Event by account, of the signal that a message on a channel became; empty before it is on record."""
    rows = session.execute(
        select(Event.account_id, Event.id)
        .join(SignalEvent, SignalEvent.event_id == Event.id)
        .join(Signal, Signal.id == SignalEvent.signal_id)
        .where(Signal.channel == channel, Signal.message_id == message_id)
    )
    return {row.account_id: row.id for row in rows}


def signals_of(session: Session, event_id: UUID, limit: int = 100) -> list[SignalView]:
    """The newest signals that an event serves, oldest first."""
    rows = session.scalars(
        select(Signal)
        .join(SignalEvent, SignalEvent.signal_id == Signal.id)
        .where(SignalEvent.event_id == event_id)
        .order_by(SignalEvent.request_no.desc())
        .limit(limit)
    )
    return [_view(row, ()) for row in rows][::-1]


def serving_events(session: Session, signal_ids: Iterable[int]) -> defaultdict[int, tuple[ServingEvent, ...]]:
    """The events that serve each signal."""
    found: defaultdict[int, tuple[ServingEvent, ...]] = defaultdict(tuple)
    rows = session.execute(
        select(SignalEvent.signal_id, Event.id, Event.account_id, Event.state)
        .join(Event, Event.id == SignalEvent.event_id)
        .where(SignalEvent.signal_id.in_(list(signal_ids)))
        .order_by(Event.account_id)
    )
    for signal_id, event_id, account_id, state in rows:
        found[signal_id] += (ServingEvent(event_id, account_id, EventState(state)),)
    return found


def channels(session: Session) -> list[ChannelView]:
    """The channels that are listened to."""
    rows = session.scalars(select(Channel).where(Channel.left_at.is_(None)).order_by(Channel.channel))
    return [ChannelView(row.channel, row.heard_until, row.attached_since, row.trouble) for row in rows]


def _view(row: Signal, events: tuple[ServingEvent, ...]) -> SignalView:
    return SignalView(
        id=row.id,
        channel=row.channel,
        message_id=row.message_id,
        state=SignalState(row.state),
        command=row.command,
        payload=row.payload,
        remark=row.remark,
        published_at=row.published_at,
        received_at=row.received_at,
        events=events,
    )
