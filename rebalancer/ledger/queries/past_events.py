"""Events of the past as a person looks for them, with what each traded and cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, or_, select

from rebalancer.domain.money import ZERO
from rebalancer.ledger.models import STOCK, Event, FillRow, Order
from rebalancer.ledger.orders import NEVER_SENT
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.queries.event_search import EventView
from rebalancer.ledger.queries.spans import Span
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState

_DIGITS = re.compile(r"[0-9a-fA-F]{1,32}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; ``None`` is anything.

    Attributes:
        text: how the event's id or the account begins.
        since / until: created from then on, and before then.
    """

    account_id: str | None = None
    command: str | None = None
    state: EventState | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Traded:
    """What an event sent and what became of it.

    Attributes:
        orders: that were sent.
        turnover: USD that fills moved.
        commission: USD, as far as known.
        slippage: USD that fills cost more (+) or less than planned with.
    """

    orders: int = 0
    turnover: Decimal = ZERO
    commission: Decimal = ZERO
    slippage: Decimal = ZERO

    @property
    def cost(self) -> Decimal:
        """USD."""
        return self.commission + self.slippage


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event and what it traded."""

    event: EventView
    traded: Traded

    @property
    def took(self) -> timedelta | None:
        """From when it was queued until it ended; ``None`` while it has not."""
        return None if self.event.finished_at is None else self.event.finished_at - self.event.created_at


SLIPPAGE = FillRow.quantity * (FillRow.price - Order.planned_price) * case((Order.side == "BUY", 1), else_=-1)
"""USD that a fill cost more (+) or less than its order was planned with."""


def past_events(session: Session, wanted: Wanted, limit: int, after: UUID | None = None) -> list[PastEvent]:
    """Events, the newest first.

    Args:
        after: id of the last event of the page before; an unknown one gives nothing.
    """
    found = event_search.find_events(
        session,
        EventState if wanted.state is None else [wanted.state],
        limit,
        account_id=wanted.account_id,
        after=after,
        newest_first=True,
        narrowed=tuple(_narrowed(wanted)),
    )
    traded = _traded(session, [event.event_id for event in found])
    return [PastEvent(event, traded.get(event.event_id, Traded())) for event in found]


def _narrowed(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.command is not None:
        yield Event.command == wanted.command
    yield from Span(wanted.since, wanted.until).holds(Event.created_at)
    if wanted.text:
        yield _begins(wanted.text)


def _begins(text: str) -> ColumnElement[bool]:
    of_account = Event.account_id.startswith(text.upper(), autoescape=True)
    digits = text.replace("-", "")
    return or_(of_account, event_search.id_begins(digits)) if _DIGITS.fullmatch(digits) else of_account


def _traded(session: Session, event_ids: Sequence[UUID]) -> dict[UUID, Traded]:
    filled = (
        select(
            FillRow.order_ref,
            func.sum(FillRow.quantity * FillRow.price).label("turnover"),
            func.coalesce(func.sum(FillRow.commission), 0).label("commission"),
            func.sum(SLIPPAGE).label("slippage"),
        )
        .join(Order, Order.order_ref == FillRow.order_ref)
        .where(Order.event_id.in_(event_ids), FillRow.security_type == STOCK)
        .group_by(FillRow.order_ref)
        .subquery()
    )
    amounts = (func.coalesce(func.sum(filled.c[name]), 0) for name in ("turnover", "commission", "slippage"))
    rows = session.execute(
        select(Order.event_id, func.count(), *amounts)
        .outerjoin(filled, filled.c.order_ref == Order.order_ref)
        .where(Order.event_id.in_(event_ids), Order.status != NEVER_SENT)
        .group_by(Order.event_id)
    )
    return {event_id: Traded(orders, *amounts) for event_id, orders, *amounts in rows}
