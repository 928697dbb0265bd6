"""What holds all accounts of a strategy: which events wait for it, and how it ends.

A hold is of one signal, and the events that serve the signal wait for it: one that is busy when the hold begins meets
it at its next run. Whoever ends a hold locks the events before it, as whoever records a signal does.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select, update

from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.strategy_holds import OPEN, HoldKind, HoldState, StrategyHold
from rebalancer.ledger import events, holds, outbox
from rebalancer.ledger.holds import view
from rebalancer.ledger.models import Event, SignalEvent, StrategyHoldRow
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState

IS_OPEN = StrategyHoldRow.state.in_(OPEN)
ANY = select(exists().where(IS_OPEN))
"""Without one there is nothing to judge."""


def of_account(session: Session, account_id: str) -> StrategyHold | None:
    """What the account's rebalance waits for, the oldest first; ``None`` if nothing of that kind holds it back."""
    row = session.scalar(_keeping(Event.account_id == account_id, Event.command == Command.REBALANCE))
    return None if row is None else view(row)


def keeps(session: Session, event_id: UUID, *which: ColumnElement[bool]) -> bool:
    """Whether something of that kind holds the event back."""
    return session.scalar(_keeping(Event.id == event_id, *which)) is not None


def _keeping(*which: ColumnElement[bool]) -> Select[StrategyHoldRow]:
    return (
        select(StrategyHoldRow)
        .where(*holds.OF_STRATEGY, Event.state.in_(ACTIVE), *which)
        .order_by(StrategyHoldRow.id)
        .limit(1)
    )


def in_force(session: Session) -> list[StrategyHold]:
    """Holds, oldest first, with the accounts that wait for each."""
    rows = session.scalars(select(StrategyHoldRow).where(IS_OPEN).order_by(StrategyHoldRow.id)).all()
    return [view(row, _waiting(session, row)) for row in rows]


def open_ids(session: Session) -> list[int]:
    """The same by number."""
    return list(session.scalars(select(StrategyHoldRow.id).where(IS_OPEN).order_by(StrategyHoldRow.id)))


def is_open(session: Session, strategy: str, kind: HoldKind) -> bool:
    """Whether the strategy is held so, for whichever signal."""
    chosen = select(StrategyHoldRow.id).where(IS_OPEN, StrategyHoldRow.strategy == strategy)
    return session.scalar(chosen.where(StrategyHoldRow.kind == kind).limit(1)) is not None


def supersede(session: Session, strategy: str) -> None:
    """A newer signal of the strategy is on record: what waited runs again, and meets what holds it now."""
    chosen = select(StrategyHoldRow.id).where(IS_OPEN, StrategyHoldRow.strategy == strategy)
    for hold_id in session.scalars(chosen).all():
        end(session, hold_id, HoldState.SUPERSEDED, "a newer signal")


def end(session: Session, hold_id: int, state: HoldState, by: str) -> list[UUID] | None:
    """End a hold; what waited for it is due now.

    Returns:
        The events; ``None`` if the hold had ended already.
    """
    if not _close(session, hold_id, state, by):
        return None
    return holds.free(session, f"strategy hold {hold_id} {state} by {by}", *_waits_for(hold_id))


def withdraw(session: Session, hold_id: int, by: str) -> list[UUID] | None:
    """End a hold, and whatever it keeps from trading its signal, whether or not that has met it yet.

    Returns:
        The events; ``None`` if the hold had ended already.
    """
    kept = select(Event.id).where(*holds.OF_STRATEGY, StrategyHoldRow.id == hold_id, Event.state.in_(ACTIVE))
    waiting = list(session.scalars(kept.order_by(Event.account_id, Event.command).with_for_update(of=Event)))
    if not _close(session, hold_id, HoldState.WITHDRAWN, by):
        return None
    for event_id in waiting:
        events.remove(session, event_id, f"strategy hold {hold_id} withdrawn by {by}")
    return waiting


def ask(session: Session, hold_id: int, reasons: Sequence[str]) -> bool:
    """Put it before a person, tell of it, and say so to what waits.

    Returns:
        False if it was asked or has ended already.
    """
    _lock_events(session, hold_id)
    row = session.scalar(
        update(StrategyHoldRow)
        .where(StrategyHoldRow.id == hold_id, StrategyHoldRow.state == HoldState.TRADING)
        .values(state=HoldState.ASKED, reasons=list(reasons), asked_at=func.now())
        .returning(StrategyHoldRow)
        .execution_options(populate_existing=True)
    )
    if row is None:
        return False
    waiting = update(Event).where(Event.state == EventState.HELD, *_waits_for(hold_id))
    session.execute(waiting.values(reason=view(row).blocks.reason).execution_options(synchronize_session=False))
    outbox.tell(
        session,
        NoticeKind.STRATEGY_HELD,
        event_id=row.event_id,
        hold=row.id,
        strategy=row.strategy,
        canary=row.account_id if row.kind == HoldKind.CANARY else None,
        reasons=list(reasons),
    )
    return True


def _close(session: Session, hold_id: int, state: HoldState, by: str) -> bool:
    _lock_events(session, hold_id)
    closed = (
        update(StrategyHoldRow)
        .where(StrategyHoldRow.id == hold_id, IS_OPEN)
        .values(state=state, decided_at=func.now(), decided_by=by)
        .returning(StrategyHoldRow.id)
    )
    return session.scalar(closed) is not None


def _lock_events(session: Session, hold_id: int) -> None:
    """Whatever serves the signal, before the hold itself is changed, whether or not it waits yet: whoever records a
    signal has these events already, and so has a run that is about to be held.
    """
    chosen = select(Event.id).where(Event.state.in_(ACTIVE), Event.id.in_(_linked(hold_id)))
    session.execute(chosen.order_by(Event.account_id, Event.command).with_for_update())


def _waits_for(hold_id: int) -> tuple[ColumnElement[bool], ...]:
    return Event.rule.in_(holds.BY_STRATEGY), Event.id.in_(_linked(hold_id))


def _linked(hold_id: int) -> Select[UUID]:
    signal = select(StrategyHoldRow.signal_id).where(StrategyHoldRow.id == hold_id).scalar_subquery()
    return select(SignalEvent.event_id).where(SignalEvent.signal_id == signal)


def _waiting(session: Session, row: StrategyHoldRow) -> tuple[str, ...]:
    chosen = select(Event.account_id).where(Event.state == EventState.HELD, *_waits_for(row.id))
    return tuple(session.scalars(chosen.order_by(Event.account_id)))
