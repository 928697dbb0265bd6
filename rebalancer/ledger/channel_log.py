"""The listener's side of the ledger: messages, what is known of their channels, and gaps.

Everything that the listener learns goes through :func:`write` in the order in which it was learnt, so that a channel is
never said to be complete before its messages are on record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger import outbox, signal_intake
from rebalancer.ledger.models import Attempt, Channel, Event, GapRow, Signal
from rebalancer.ledger.session import Session
from rebalancer.ledger.signal_intake import Addressee, NewSignal, Recorded
from rebalancer.ledger.states import Outcome, SignalState


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as it goes on record.

    Attributes:
        command: ``None`` puts it into quarantine.
        payload: storable as JSON in PostgreSQL.
        remark: why it was not taken literally, if so.
    """

    channel: str
    message_id: str
    published_at: datetime | None
    command: Command | None
    payload: Any
    remark: str | None


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A channel's history was read, or cannot be.

    Attributes:
        complete_at: until when it was read without a hole, by Ably's clock; ``None`` if it may not be read.
        until: when reading began, by ours.
        window: silence of up to this long is covered by what was read.
    """

    channel: str
    complete_at: datetime | None
    until: datetime
    window: timedelta


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """How a channel is heard; ``heard_until`` is ``None`` while something may be missing."""

    channel: str
    heard_until: datetime | None
    attached_since: datetime | None
    trouble: str | None


Item = Arrival | CaughtUp | ChannelHealth


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the items.

    Attributes:
        recorded: the messages that were new, with the events that serve them.
        differing: messages whose id was on record with another payload; the first one counts.
        gaps: channels of which signals may have been missed.
    """

    recorded: tuple[tuple[Arrival, Recorded], ...]
    differing: tuple[Arrival, ...]
    gaps: tuple[OpenGap, ...]


@dataclass(frozen=True, slots=True)
class Followed:
    """Where listening to a channel starts; history is read from ``complete_at`` on, never from before the baseline."""

    channel: str
    baseline_at: datetime
    complete_at: datetime
    heard_until: datetime


@dataclass(frozen=True, slots=True)
class OpenGap:
    """A span in which signals may have been missed."""

    gap_id: int
    channel: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class LastRebalance:
    """An account's newest successful rebalance; ``targets_of`` is the strategy's rebalance day that it acted on."""

    finished_at: datetime
    targets_of: date | None


def is_own_fault(error: RecordUnavailable) -> bool:
    """Whether the data itself cannot be stored (SQLSTATE class 22, data exception). Anything else that PostgreSQL
    refuses is ours: a migration that was not made, a right that is missing, a mistake in the program.
    """
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and str(getattr(cause.orig, "pgcode", None)).startswith("22")


def follow(session: Session, channel: str, now: datetime) -> Followed:
    """Note that a channel is listened to. The first time, and after it was left, its baseline is ``now``."""
    fresh = insert(Channel).values(channel=channel, baseline_at=now, complete_at=now, heard_until=now)

    def from_now(column: Any) -> Any:
        return case((Channel.left_at.is_not(None), now), else_=column)

    row = session.execute(
        fresh.on_conflict_do_update(
            index_elements=[Channel.channel],
            set_={
                "baseline_at": from_now(Channel.baseline_at),
                "complete_at": from_now(Channel.complete_at),
                "heard_until": from_now(Channel.heard_until),
                "left_at": None,
            },
        ).returning(Channel.channel, Channel.baseline_at, Channel.complete_at, Channel.heard_until)
    ).one()
    return Followed(row.channel, row.baseline_at, row.complete_at, row.heard_until)


def leave(session: Session, channel: str) -> None:
    """Note that no enabled account follows a channel any more."""
    session.execute(
        update(Channel)
        .where(Channel.channel == channel, Channel.left_at.is_(None))
        .values(left_at=func.now(), attached_since=None, trouble=None)
    )


def leave_others(session: Session, channels: Collection[str]) -> list[str]:
    """Note the same of every other channel: those that were dropped while nobody listened.

    Returns:
        Which.
    """
    left = (
        update(Channel)
        .where(Channel.channel.not_in(channels), Channel.left_at.is_(None))
        .values(left_at=func.now(), attached_since=None, trouble=None)
        .returning(Channel.channel)
    )
    return sorted(session.scalars(left))


def write(session: Session, items: Sequence[Item], addressees: Mapping[str, Iterable[Addressee]]) -> Written:
    """Put items on record in their order.

    Args:
        addressees: the accounts that a channel's signals are for; nobody, if it is missing.
    """
    arrivals = [item for item in items if isinstance(item, Arrival)]
    known = _known(session, arrivals)
    _lock_events(session, [one for one in arrivals if (one.channel, one.message_id) not in known], addressees)
    recorded: list[tuple[Arrival, Recorded]] = []
    differing: list[Arrival] = []
    gaps: list[OpenGap] = []
    for item in items:
        match item:
            case Arrival() if (item.channel, item.message_id) in known:
                if known[item.channel, item.message_id] != item.payload:
                    differing.append(item)
            case Arrival():
                made = _record(session, item, addressees.get(item.channel, ()))
                recorded += [] if made.duplicate else [(item, made)]
            case CaughtUp():
                gaps += _caught_up(session, item)
            case ChannelHealth():
                _note_health(session, item)
    _advance(session, [arrival for arrival, _ in recorded])
    return Written(tuple(recorded), tuple(differing), tuple(gaps))


def open_gaps(session: Session) -> tuple[OpenGap, ...]:
    """Gaps that nobody has answered, oldest first."""
    rows = session.scalars(select(GapRow).where(GapRow.answered_at.is_(None)).order_by(GapRow.id))
    return tuple(OpenGap(row.id, row.channel, row.since, row.until) for row in rows)


def answer_gap(
    session: Session, gap: OpenGap, remark: str, signal: NewSignal | None = None, addressees: Iterable[Addressee] = ()
) -> Recorded | None:
    """Close a gap, with a signal that catches up if there is one.

    Returns:
        What became of the signal; ``None`` without one, or when another listener has answered the gap.
    """
    mine = session.scalar(
        select(GapRow).where(GapRow.id == gap.gap_id, GapRow.answered_at.is_(None)).with_for_update(skip_locked=True)
    )
    if mine is None:
        return None
    recorded = signal_intake.record(session, signal, addressees) if signal else None
    mine.answered_at = func.now()
    mine.remark = remark
    mine.signal_id = recorded.signal_id if recorded else None
    return recorded


def last_rebalance(session: Session, account_id: str, strategy: str, channel: str) -> LastRebalance | None:
    """The newest successful rebalance of an account under a strategy, or a blend of which ``channel`` is a member."""
    targets = Attempt.inputs["targets"]
    day = func.coalesce(targets["members"][channel]["last_rebalance_on"].astext, targets["last_rebalance_on"].astext)
    row = session.execute(
        select(Attempt.finished_at, day.label("targets_of"))
        .join(Event, Event.id == Attempt.event_id)
        .where(
            Event.account_id == account_id,
            Event.strategy == strategy,
            Event.command == Command.REBALANCE,
            Attempt.outcome == Outcome.SUCCEEDED,
        )
        .order_by(Attempt.finished_at.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return LastRebalance(row.finished_at, date.fromisoformat(row.targets_of) if row.targets_of else None)


def _known(session: Session, arrivals: Sequence[Arrival]) -> dict[tuple[str, str], Any]:
    """Payloads of those messages that are on record already, by channel and id."""
    keys = {(arrival.channel, arrival.message_id) for arrival in arrivals}
    if not keys:
        return {}
    rows = session.execute(
        select(Signal.channel, Signal.message_id, Signal.payload).where(
            tuple_(Signal.channel, Signal.message_id).in_(keys)
        )
    )
    return {(row.channel, row.message_id): row.payload for row in rows}


def _lock_events(session: Session, arrivals: Sequence[Arrival], addressees: Mapping[str, Iterable[Addressee]]) -> None:
    wanted = {
        (addressee.account_id, arrival.command)
        for arrival in arrivals
        if arrival.command is not None
        for addressee in addressees.get(arrival.channel, ())
    }
    if len(arrivals) > 1 and wanted:
        signal_intake.lock_events(session, wanted)


def _record(session: Session, arrival: Arrival, addressees: Iterable[Addressee]) -> Recorded:
    if arrival.command is None:
        return _quarantine(session, arrival)
    signal = NewSignal(
        channel=arrival.channel,
        message_id=arrival.message_id,
        command=arrival.command,
        payload=arrival.payload,
        remark=arrival.remark,
        published_at=arrival.published_at,
    )
    recorded = signal_intake.record(session, signal, addressees)
    if arrival.remark is not None and not recorded.duplicate:
        outbox.tell(
            session, NoticeKind.DRY_RUN, channel=arrival.channel, command=arrival.command, remark=arrival.remark
        )
    return recorded


def _quarantine(session: Session, arrival: Arrival) -> Recorded:
    signal_id = session.scalar(
        insert(Signal)
        .values(
            channel=arrival.channel,
            message_id=arrival.message_id,
            state=SignalState.QUARANTINED,
            payload=arrival.payload,
            remark=arrival.remark,
            published_at=arrival.published_at,
        )
        .on_conflict_do_nothing(index_elements=[Signal.channel, Signal.message_id])
        .returning(Signal.id)
    )
    if signal_id is not None:
        outbox.tell(
            session, NoticeKind.QUARANTINED, channel=arrival.channel, remark=arrival.remark or "it cannot be read"
        )
    return Recorded(signal_id or 0, duplicate=signal_id is None)


def _advance(session: Session, arrivals: Sequence[Arrival]) -> None:
    """Move the checkpoints of the channels, in one order for all listeners, lest they deadlock."""
    newest: defaultdict[str, list[datetime]] = defaultdict(list)
    for arrival in arrivals:
        if arrival.published_at is not None:
            newest[arrival.channel].append(arrival.published_at)
    for channel, times in sorted(newest.items()):
        session.execute(
            update(Channel)
            .where(Channel.channel == channel)
            .values(checkpoint_at=func.greatest(Channel.checkpoint_at, max(times)))
        )


def _caught_up(session: Session, item: CaughtUp) -> list[OpenGap]:
    """Move the channel forward; if it was silent for longer than what was read can cover, open a gap."""
    row = session.scalar(select(Channel).where(Channel.channel == item.channel).with_for_update())
    if row is None:
        return []
    found = [_open_gap(session, row, item.until)] if item.until - row.heard_until > item.window else []
    if item.complete_at is not None:
        row.complete_at = max(row.complete_at, item.complete_at)
    row.heard_until = max(row.heard_until, item.until)
    session.flush()
    return found


def _open_gap(session: Session, row: Channel, until: datetime) -> OpenGap:
    gap = GapRow(channel=row.channel, since=row.heard_until, until=until)
    session.add(gap)
    session.flush()
    outbox.tell(
        session, NoticeKind.MISSED, channel=gap.channel, since=gap.since.isoformat(), until=gap.until.isoformat()
    )
    return OpenGap(gap.id, gap.channel, gap.since, gap.until)


def _note_health(session: Session, item: ChannelHealth) -> None:
    session.execute(
        update(Channel)
        .where(Channel.channel == item.channel, Channel.left_at.is_(None))
        .values(
            heard_until=func.greatest(Channel.heard_until, item.heard_until),
            attached_since=item.attached_since,
            trouble=item.trouble,
        )
    )


def event_ids(written: Written) -> frozenset[UUID]:
    """The events that serve what was recorded."""
    return frozenset(served.event_id for _, recorded in written.recorded for served in recorded.served)
