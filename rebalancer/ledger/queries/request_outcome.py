"""What became of one request, told apart from other requests that the same event serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, func, select

from rebalancer.domain.commands import Command
from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode, covers
from rebalancer.ledger.models import Attempt, Event, Order, SignalEvent
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState, Outcome

PENDING = frozenset({Outcome.HELD, Outcome.LOST})


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """How far a request has come.

    Attributes:
        result: of the first success that serves it.
        finished_at: end of that attempt.
        error: of the newest failed attempt that was to serve it; the event is tried again nevertheless.
    """

    state: EventState
    reason: str
    due_at: datetime
    attempt: int
    result: dict[str, Any] | None
    finished_at: datetime | None
    error: str | None

    @property
    def is_final(self) -> bool:
        """Nothing better can be said by waiting for the present attempt."""
        return self.result is not None or self.error is not None or self.state not in ACTIVE


_ASKED = (
    select(Event, SignalEvent, Attempt)
    .join(SignalEvent, and_(SignalEvent.event_id == Event.id, SignalEvent.request_no == bindparam("number")))
    .outerjoin(
        Attempt,
        and_(
            Attempt.event_id == Event.id,
            Attempt.observed_generation >= bindparam("number"),
            Attempt.outcome.is_not(None),
        ),
    )
    .where(Event.id == bindparam("event_id"))
    .order_by(Attempt.number)
    .execution_options(populate_existing=True)
)
"""One statement: of two, the first may see an event that runs and the second how it has ended."""


def answer(session: Session, event_id: UUID, number: int) -> RequestOutcome:
    """What became of a request so far, by its number among those of the event."""
    rows = session.execute(_ASKED, {"event_id": event_id, "number": number}).all()
    event, asked, _ = rows[0]
    tried = _serving(event, asked, [attempt for _, _, attempt in rows if attempt is not None])
    served = next((one for one in tried if one.outcome == Outcome.SUCCEEDED), None)
    rejected = next((one.error for one in tried if one.outcome == Outcome.REJECTED), None)
    failed = None if served or not tried or tried[-1].outcome in PENDING else tried[-1].error
    return RequestOutcome(
        state=EventState(event.state),
        reason=event.reason,
        due_at=event.due_at,
        attempt=event.attempt,
        result=served.result if served else None,
        finished_at=served.finished_at if served else None,
        error=failed if served else rejected or failed,
    )


def _serving(event: Event, asked: SignalEvent, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those that were to serve a request; another kind of rebalance was not."""
    kind, live = RebalanceKind(RebalanceMode(asked.kind), asked.amount), Command(event.command).touches_orders
    return [one for one in attempts if covers(RebalanceKind(RebalanceMode(one.kind), one.amount), kind, live=live)]


@dataclass(frozen=True, slots=True)
class OrdersSoFar:
    """How far the orders of an attempt have come; ``ended`` are those of which nothing more is expected."""

    sent: int
    ended: int


def orders_so_far(session: Session, event_id: UUID, attempt: int) -> OrdersSoFar:
    """Count the orders of one attempt."""
    ended = func.count().filter(Order.final_at.is_not(None))
    row = session.execute(select(func.count(), ended).where(Order.event_id == event_id, Order.attempt == attempt)).one()
    return OrdersSoFar(row[0], row[1])
