"""The inbox: a signal, the events that serve it, and their links, in one statement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID, uuid4

from sqlalchemy import Text, and_, column, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from rebalancer.domain.accounts import MAIN_GATEWAY, Account
from rebalancer.domain.commands import Command
from rebalancer.domain.rebalance_kinds import RebalanceKind
from rebalancer.domain.strategy_holds import StrategyGuard
from rebalancer.ledger import canaries, strategy_holds
from rebalancer.ledger.dispatch_claims import Due
from rebalancer.ledger.intake_statement import RECORD
from rebalancer.ledger.models import Event, Signal, SignalEvent
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState, SignalState
from rebalancer.ledger.storable_text import to_json


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
        leaving: new events whose first message whoever records it publishes.
    """

    signal_id: int
    duplicate: bool
    served: tuple[Served, ...] = field(default=())
    leaving: tuple[Due, ...] = field(default=())


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


def record(session: Session, signal: NewSignal, addressees: Iterable[Addressee], at_once: int = 0) -> Recorded:
    """Put a signal on record and make sure that one active event per account serves it.

    A waiting event absorbs it (one that retries, or waits for settlement, becomes due at once: there is news); a
    running one runs once more afterwards, since the requested generation is now beyond the one that it observed. What
    it asks for beyond that is kept beside what others ask for: none replaces another. One that an operator is ending
    takes no more signals.

    Args:
        at_once: for how many accounts the caller publishes the first messages of new events, as soon as this is
            committed.
    """
    everyone = sorted(addressees, key=lambda addressee: addressee.account_id)
    rows = RECORD.rows(session, _given(signal, everyone, at_once))
    if not rows:
        return _already_recorded(session, signal)
    signal_id = rows[0].signal_id
    events = sorted((row for row in rows if row.id is not None), key=lambda row: row.account_id)
    served = tuple(_served(row, signal.command) for row in events)
    guard = next((one.guard for one in everyone if one.guard is not None), None)
    if guard is not None and signal.command is Command.REBALANCE:
        _guard(session, signal_id, signal.channel, served, guard)
    return Recorded(signal_id, False, served, tuple(_due(row, signal.command) for row in events if row.leaves_as))


def is_one_statement(addressees: Iterable[Addressee]) -> bool:
    """Whether :func:`record` needs no transaction around it."""
    return all(one.guard is None for one in addressees)


def _given(signal: NewSignal, everyone: Sequence[Addressee], at_once: int) -> dict[str, Any]:
    return {
        "on_channel": signal.channel,
        "with_id": signal.message_id,
        "in_state": SignalState.ACCEPTED if everyone else SignalState.UNADDRESSED,
        "asks_for": signal.command,
        "with_payload": to_json(signal.payload),
        "with_remark": signal.remark,
        "sent_at": signal.published_at,
        "new_ids": [uuid4() for _ in everyone],
        "accounts": [one.account_id for one in everyone],
        "strategies": [one.strategy for one in everyone],
        "gateways": [one.gateway for one in everyone],
        "alone": signal.command.touches_orders,
        "with_data": to_json(signal.payload if isinstance(signal.payload, dict) else {}),
        "at_once": at_once,
        "of_kind": signal.kind.mode,
        "for_amount": signal.kind.amount,
    }


def _served(row: Any, command: Command) -> Served:
    return Served(
        event_id=row.id,
        account_id=row.account_id,
        command=command,
        created=row.created,
        state=EventState(row.state),
        request_no=row.request_no,
    )


def _due(row: Any, command: Command) -> Due:
    return Due(
        event_id=row.id,
        account_id=row.account_id,
        command=command,
        strategy=row.strategy,
        gateway=row.gateway,
        dispatch_no=row.leaves_as,
    )


def _guard(session: Session, signal_id: int, strategy: str, served: Sequence[Served], guard: StrategyGuard) -> None:
    """What held the strategy's accounts ends; of several one goes first, if it is to."""
    strategy_holds.supersede(session, strategy)
    if guard.canary is not None and len(served) > 1:
        asked = [(one.account_id, one.event_id, one.request_no) for one in served]
        canaries.begin(session, strategy, signal_id, asked, guard.canary)


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
