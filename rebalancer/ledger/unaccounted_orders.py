"""Orders whose outcome is not on record, and the events that have to look after them."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import Event, Order
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState

REASON = "orders of an ended event are looked after"


def unaccounted() -> ColumnElement[bool]:
    """In a statement over events: some order of the event may still fill, or nobody has asked what became of it; or one
    of its account whose own event has ended.
    """
    sender = aliased(Event)
    own = exists().where(Order.event_id == Event.id, Order.final_at.is_(None))
    left = exists().where(
        Order.account_id == Event.account_id,
        Order.final_at.is_(None),
        sender.id == Order.event_id,
        sender.state.not_in(ACTIVE),
    )
    return or_(own, and_(Event.exclusive, left))


def adopt(session: Session) -> list[UUID]:
    """Open an event for each account with such orders that no active event looks after. It is one that is being
    removed: it cancels and accounts for them, trades nothing, takes no signals, and ends then.
    """
    looks = aliased(Event)
    looked_after = exists().where(looks.account_id == Order.account_id, looks.exclusive, looks.state.in_(ACTIVE))
    alone = (
        select(
            Order.account_id,
            func.min(Event.strategy).label("strategy"),
            func.max(Event.gateway).label("gateway"),  # as a rule there is one; the accounts file decides, if it knows
        )
        .join(Event, Event.id == Order.event_id)
        .where(Order.final_at.is_(None), ~looked_after)
        .group_by(Order.account_id)
    )
    return [_open(session, row.account_id, row.strategy, row.gateway) for row in session.execute(alone).all()]


def _open(session: Session, account_id: str, strategy: str, gateway: str) -> UUID:
    event_id = uuid4()
    session.execute(
        insert(Event).values(
            id=event_id,
            account_id=account_id,
            command=Command.REBALANCE,
            exclusive=True,
            strategy=strategy,
            gateway=gateway,
            state=EventState.QUEUED,
            reason=REASON,
            data={},
            due_at=func.now(),
            remove_requested=True,
        )
    )
    return event_id
