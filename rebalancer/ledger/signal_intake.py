"""The inbox: a signal, the events that serve it, and their link, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID, uuid4

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    column,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.sql.dml import ReturningInsert

from rebalancer.domain.accounts import MAIN_GATEWAY, Account
from rebalancer.domain.commands import Command
from rebalancer.domain.rebalance_kinds import RebalanceKind
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.strategy_holds import StrategyGuard
from rebalancer.ledger import canaries, strategy_holds
from rebalancer.ledger.models import Event, Signal, SignalEvent
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState, SignalState


@dataclass(frozen=True, slots=True)
class Addressee:
    """An account that a signal is for, and whose workers serve it.

    Attributes:
        guard: of the strategy whose signal it is, where it has one.
    """

    account_id: str
    strategy: str
    gateway: str = MAIN_GATEWAY
    guard: StrategyGuard | None = None

    @classmethod
    def of(cls, account: Account, channel: str | None = None) -> Self:
        """As it is configured; for a signal of one of its strategies, or for its own alone."""
        guard = account.guards.get(channel) if channel else None
        return cls(account.account_id, account.strategy, account.gateway, guard)


@dataclass(frozen=True, slots=True)
class NewSignal:
    """A signal to record.

    Attributes:
        channel: strategy channel, or ``api``, ``cli``, ``schedule``.
        message_id: unique in its channel; the same one again is the same signal.
        remark: why it was not taken literally, if so.
        kind: what kind of rebalance it asks for; only people choose.
    """

    channel: str
    message_id: str
    command: Command
    payload: Any = None
    remark: str | None = None
    published_at: datetime | None = None
    kind: RebalanceKind = field(default_factory=RebalanceKind)


@dataclass(frozen=True, slots=True)
class Served:
    """The event that serves a signal for one account.

    Attributes:
        created: the signal opened the event; ``False`` when it was absorbed by an active one.
        state: of the event when the signal joined it.
        request_no: its number among what the event was asked for.
    """

    event_id: UUID
    account_id: str
    command: Command
    created: bool
    state: EventState
    request_no: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a signal.

    Attributes:
        duplicate: it was on record already; nothing changed and ``served`` names the events of the first time.
    """

    signal_id: int
    duplicate: bool
    served: tuple[Served, ...] = field(default=())


def lock_events(session: Session, wanted: Collection[tuple[str, Command]]) -> None:
    """Lock the active events of these accounts and commands in the order in which whoever locks several does; called
    before several signals are recorded in one transaction, lest two such transactions wait for each other.
    """
    given = func.unnest(
        literal([account_id for account_id, _ in wanted], ARRAY(Text)),
        literal([command for _, command in wanted], ARRAY(Text)),
    ).table_valued(column("account_id", Text), column("command", Text))
    given = given.render_derived()
    session.execute(
        select(Event.id)
        .join(given, and_(Event.account_id == given.c.account_id, Event.command == given.c.command))
        .where(Event.state.in_(ACTIVE))
        .order_by(Event.account_id, Event.command)
        .with_for_update(of=Event)
    )


def _ready_for_news() -> ColumnElement[bool]:
    """Waiting events that a new request wakes: new targets may be sold for and bought from settled cash today, whatever
    the proceeds of an earlier sale wait for.
    """
    return or_(Event.state == EventState.RETRYING, and_(Event.state == EventState.HELD, Event.rule == Rule.SETTLEMENT))


_SIGNAL = (
    insert(Signal)
    .values(
        channel=bindparam("on_channel"),
        message_id=bindparam("with_id"),
        state=bindparam("in_state"),
        command=bindparam("asks_for"),
        payload=bindparam("with_payload"),
        remark=bindparam("with_remark"),
        published_at=bindparam("sent_at"),
    )
    .on_conflict_do_nothing(index_elements=[Signal.channel, Signal.message_id])
    .returning(Signal.id)
    .execution_options(dml_strategy="raw")  # what is given are parameters, no rows
)


def _events() -> ReturningInsert[UUID, str, int, str, bool]:
    """Built once: that takes longer than to send it."""
    given = func.unnest(
        bindparam("new_ids", type_=ARRAY(Uuid)),
        bindparam("accounts", type_=ARRAY(Text)),
        bindparam("strategies", type_=ARRAY(Text)),
        bindparam("gateways", type_=ARRAY(Text)),
    ).table_valued(
        column("id", Uuid),
        column("account_id", Text),
        column("strategy", Text),
        column("gateway", Text),
        with_ordinality="place",
    )
    given = given.render_derived()
    shared: dict[Any, ColumnElement[Any]] = {
        Event.command: bindparam("asks_for", type_=Text()),
        Event.exclusive: bindparam("alone", type_=Boolean()),
        Event.state: literal(EventState.QUEUED),
        Event.reason: literal("new"),
        Event.data: bindparam("with_data", type_=JSONB()),
        Event.due_at: func.now(),
    }
    each = {
        Event.id: given.c.id,
        Event.account_id: given.c.account_id,
        Event.strategy: given.c.strategy,
        Event.gateway: given.c.gateway,
    }
    fresh = insert(Event).from_select(
        [*each, *shared], select(*each.values(), *shared.values()).order_by(given.c.place)
    )
    return (
        fresh.execution_options(dml_strategy="raw")
        .on_conflict_do_update(
            index_elements=[Event.account_id, Event.command],
            index_where=and_(Event.state.in_(ACTIVE), ~Event.remove_requested),
            set_={
                Event.requested_generation: Event.requested_generation + 1,
                Event.data: fresh.excluded.data,
                Event.strategy: fresh.excluded.strategy,
                Event.due_at: case((_ready_for_news(), func.least(Event.due_at, func.now())), else_=Event.due_at),
            },
        )
        .returning(
            Event.id,
            Event.account_id,
            Event.requested_generation.label("request_no"),
            Event.state,
            literal_column("xmax = 0", Boolean).label("created"),
        )
    )


_EVENTS = _events()


def record(session: Session, signal: NewSignal, addressees: Iterable[Addressee]) -> Recorded:
    """Put a signal on record and make sure that one active event per account serves it.

    A waiting event absorbs it (one that retries, or waits for settlement, becomes due at once: there is news); a
    running one runs once more afterwards, since the requested generation is now beyond the one that it observed. What
    it asks for beyond that is kept beside what others ask for: none replaces another. One that an operator is ending
    takes no more signals.
    """
    everyone = sorted(addressees, key=lambda addressee: addressee.account_id)
    state = SignalState.ACCEPTED if everyone else SignalState.UNADDRESSED
    signal_id = session.scalar(
        _SIGNAL,
        {
            "on_channel": signal.channel,
            "with_id": signal.message_id,
            "in_state": state,
            "asks_for": signal.command,
            "with_payload": signal.payload,
            "with_remark": signal.remark,
            "sent_at": signal.published_at,
        },
    )
    if signal_id is None:
        return _already_recorded(session, signal)
    served = _join(session, signal_id, signal, everyone)
    guard = next((one.guard for one in everyone if one.guard is not None), None)
    if guard is not None and signal.command is Command.REBALANCE:
        _guard(session, signal_id, signal.channel, served, guard)
    return Recorded(signal_id, False, served)


def _guard(session: Session, signal_id: int, strategy: str, served: Sequence[Served], guard: StrategyGuard) -> None:
    """What held the strategy's accounts ends; of several one goes first, if it is to."""
    strategy_holds.supersede(session, strategy)
    if guard.canary is not None and len(served) > 1:
        asked = [(one.account_id, one.event_id, one.request_no) for one in served]
        canaries.begin(session, strategy, signal_id, asked, guard.canary)


def _join(session: Session, signal_id: int, signal: NewSignal, everyone: Sequence[Addressee]) -> tuple[Served, ...]:
    """One statement for all accounts, in the order in which they come: hundreds may follow one strategy."""
    rows = session.execute(
        _EVENTS,
        {
            "new_ids": [uuid4() for _ in everyone],
            "accounts": [one.account_id for one in everyone],
            "strategies": [one.strategy for one in everyone],
            "gateways": [one.gateway for one in everyone],
            "asks_for": signal.command,
            "alone": signal.command.touches_orders,
            "with_data": signal.payload if isinstance(signal.payload, dict) else {},
        },
    ).all()
    links = [
        {
            "signal_id": signal_id,
            "event_id": row.id,
            "request_no": row.request_no,
            "kind": signal.kind.mode,
            "amount": signal.kind.amount,
        }
        for row in rows
    ]
    if links:
        session.execute(insert(SignalEvent), links)
    return tuple(
        Served(
            event_id=row.id,
            account_id=row.account_id,
            command=signal.command,
            created=row.created,
            state=EventState(row.state),
            request_no=row.request_no,
        )
        for row in rows
    )


def _already_recorded(session: Session, signal: NewSignal) -> Recorded:
    found = (Signal.channel == signal.channel, Signal.message_id == signal.message_id)
    served = session.execute(
        select(Event, SignalEvent.request_no)
        .join(SignalEvent, SignalEvent.event_id == Event.id)
        .join(Signal, Signal.id == SignalEvent.signal_id)
        .where(*found)
        .order_by(Event.account_id)
    )
    return Recorded(
        session.scalars(select(Signal.id).where(*found)).one(),
        True,
        tuple(
            Served(
                event_id=event.id,
                account_id=event.account_id,
                command=Command(event.command),
                created=False,
                state=EventState(event.state),
                request_no=number,
            )
            for event, number in served
        ),
    )
