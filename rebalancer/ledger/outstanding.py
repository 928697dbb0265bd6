"""What an event is still to do: its signals may ask for different kinds of rebalance, and each is served."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam, func, literal, select, union_all

from rebalancer.domain.commands import Command
from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode, unserved
from rebalancer.ledger.models import Attempt, SignalEvent
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import Outcome

ANSWERED = (Outcome.SUCCEEDED, Outcome.REJECTED)
"""How an attempt ends after which its requests wait no more."""

_NUMBERS = Prepared(
    "numbers_of_kinds",
    union_all(
        select(literal(False), SignalEvent.kind, SignalEvent.amount, func.max(SignalEvent.request_no))
        .where(SignalEvent.event_id == bindparam("event_id"), SignalEvent.request_no <= bindparam("upto"))
        .group_by(SignalEvent.kind, SignalEvent.amount),
        select(literal(True), Attempt.kind, Attempt.amount, func.max(Attempt.observed_generation))
        .where(Attempt.event_id == bindparam("event_id"), Attempt.outcome.in_(ANSWERED))
        .group_by(Attempt.kind, Attempt.amount),
    ),
)
"""Of each kind of rebalance the newest number that was asked for, and that was answered."""


def left(
    session: Session, event_id: UUID, command: Command, upto: int, now_done: tuple[RebalanceKind, int] | None = None
) -> list[RebalanceKind]:
    """Kinds of rebalance that an event was asked for and no run has answered, the next one first.

    Args:
        upto: number of the newest request that counts.
        now_done: a run that is about to be recorded as a success: its kind, and up to which number it knew them.
    """
    numbers: tuple[dict[RebalanceKind, int], dict[RebalanceKind, int]] = {}, {}
    for answered, mode, amount, number in _NUMBERS.rows(session, {"event_id": event_id, "upto": upto}):
        numbers[answered][RebalanceKind(RebalanceMode(mode), amount)] = number
    asked, done = numbers
    if now_done is not None:
        kind, number = now_done
        done[kind] = max(number, done.get(kind, 0))
    return unserved(asked, done, live=command.touches_orders)
