"""Which events need a message, so that a worker claims them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Interval,
    Select,
    Uuid,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningUpdate

from rebalancer.domain.commands import Command
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger.models import Event, Order
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import WAITING, EventState
from rebalancer.ledger.transitions import unless_removed

BUSY_DELAY = timedelta(seconds=2)
"""After which an event asks again for the turn of its account."""


ANY = select(exists().where(Event.state.in_(WAITING), Event.due_at <= func.now()))
"""Without one :func:`take_due` finds nothing."""
ANY_TO_REAP = select(
    or_(
        exists().where(Event.state.in_((EventState.QUEUED, EventState.RETRYING, EventState.RUNNING))),
        exists().where(Order.final_at.is_(None)),
    )
)
"""Without one nothing is under way that could be lost or wait too long, and no order is left behind."""


@dataclass(frozen=True, slots=True)
class Due:
    """An event that may be claimed, with the number of the message that says so."""

    event_id: UUID
    account_id: str
    command: Command
    strategy: str
    gateway: str
    dispatch_no: int


def account_busy() -> ColumnElement[bool]:
    """The event touches orders, and those of its account are in another run's hands."""
    running = aliased(Event)
    return exists().where(
        running.account_id == Event.account_id, running.state == EventState.RUNNING, running.exclusive, Event.exclusive
    )


def accounts_in_hand() -> Select[str]:
    """Those whose orders are in a run's hands: as many as there are processes, at most."""
    running = aliased(Event)
    return select(running.account_id).where(running.state == EventState.RUNNING, running.exclusive)


def _take_due(*only: ColumnElement[bool]) -> ReturningUpdate[UUID, str, str, str, str, int, datetime]:
    """Built once: that takes longer than to send it."""
    in_transit = bindparam("in_transit", type_=Interval())
    long_ago = Event.dispatched_at < func.now() - in_transit
    set_back = Event.dispatched_at > func.now() + in_transit  # the ledger's clock, since
    lost = and_(or_(long_ago, set_back), Event.id != func.all(bindparam("in_queue", type_=ARRAY(Uuid))))
    due = (
        select(Event.id)
        .where(
            Event.state.in_(WAITING),
            Event.due_at <= func.now(),
            or_(Event.dispatched_at.is_(None), lost),
            ~account_busy(),
            *only,
        )
        .order_by(Event.due_at)
        .limit(bindparam("at_most", type_=Integer()))
        .with_for_update(skip_locked=True, of=Event)
    )
    return (
        update(Event)
        .where(Event.id.in_(due.scalar_subquery()))
        .values(dispatch_no=Event.dispatch_no + 1, dispatched_at=func.now())
        .returning(
            Event.id,
            Event.account_id,
            Event.command,
            Event.strategy,
            Event.gateway,
            Event.dispatch_no,
            Event.due_at,
        )
    )


_TAKE_DUE = Prepared("take_due", _take_due())
_TAKE_DUE_OF = Prepared("take_due_of", _take_due(Event.id == func.any(bindparam("of_events", type_=ARRAY(Uuid)))))


def take_due(
    session: Session,
    in_transit: timedelta,
    waiting: Collection[UUID] = (),
    only: Collection[UUID] | None = None,
    limit: int = 200,
) -> list[Due]:
    """Number a message for each due event that has none under way, oldest due first.

    Args:
        in_transit: a message published longer ago than this, and not among ``waiting``, is taken for lost.
        waiting: events whose message waits in the queue.
        only: consider these events alone.
    """
    given = {"in_transit": in_transit, "in_queue": list(waiting), "at_most": limit}
    if only is None:
        rows = _TAKE_DUE.rows(session, given)
    else:
        rows = _TAKE_DUE_OF.rows(session, given | {"of_events": list(only)})
    rows = sorted(rows, key=lambda row: row.due_at)
    return [
        Due(
            event_id=row.id,
            account_id=row.account_id,
            command=Command(row.command),
            strategy=row.strategy,
            gateway=row.gateway,
            dispatch_no=row.dispatch_no,
        )
        for row in rows
    ]


def put_back(session: Session, due: Collection[Due]) -> None:
    """No message has left for these: they are due as before, unless somebody has seen to them since."""
    numbers = [(one.event_id, one.dispatch_no) for one in due]
    session.execute(
        update(Event)
        .where(tuple_(Event.id, Event.dispatch_no).in_(numbers), Event.state.in_(WAITING))
        .values(dispatched_at=None)
    )


def bound_waits(session: Session, lease: timedelta, retry: timedelta) -> None:
    """Nothing waits longer than it was told to: what seems to is from before the ledger's clock was set back.

    Args:
        lease: the longest that a run is given.
        retry: the longest pause before a next try.
    """
    now = func.now()
    late = or_(
        and_(Event.state == EventState.QUEUED, Event.due_at > now + BUSY_DELAY),
        and_(Event.state == EventState.RETRYING, Event.due_at > now + max(retry, BUSY_DELAY)),
    )
    session.execute(update(Event).where(late).values(due_at=now))
    overlong = and_(Event.state == EventState.RUNNING, Event.lease_until > now + lease)
    session.execute(update(Event).where(overlong).values(lease_until=now + lease))


def postpone_busy(session: Session, event_id: UUID) -> None:
    """An event that found its account busy is due again shortly, or when :func:`free_busy` says so."""
    session.execute(
        update(Event)
        .where(Event.id == event_id, Event.state.in_(WAITING), Event.due_at <= func.now(), account_busy())
        .values(
            due_at=func.now() + BUSY_DELAY,
            dispatched_at=None,
            reason=unless_removed(Rule.BUSY),
            rule=Rule.BUSY,
            halt_id=None,
        )
    )


_FREE_BUSY = Prepared(
    "free_busy",
    update(Event)
    .where(
        Event.id.in_(
            select(Event.id)
            .where(
                Event.account_id == bindparam("of_account"),
                Event.state.in_(WAITING),
                Event.rule == Rule.BUSY,
                Event.due_at > func.now(),
            )
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
    )
    .values(due_at=func.now()),
)


def free_busy(session: Session, account_id: str) -> None:
    """Whoever waited for this account's turn is due now; one that a signal is joining at this moment, in two seconds:
    waiting for its lock could deadlock with a batch of signals.
    """
    _FREE_BUSY.run(session, {"of_account": account_id})


def key_of(session: Session, event_id: UUID) -> tuple[str, Command] | None:
    """Account and command of an event."""
    row = session.execute(select(Event.account_id, Event.command).where(Event.id == event_id)).one_or_none()
    return None if row is None else (row.account_id, Command(row.command))


def silent_workers(session: Session, left: timedelta) -> list[str]:
    """Workers that hold a running event and have not renewed its lease lately: less than ``left`` of it remains."""
    silent = and_(Event.state == EventState.RUNNING, Event.lease_until < func.now() + left)
    return list(session.scalars(select(Event.worker).where(silent).distinct()))
