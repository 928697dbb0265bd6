"""What is on record of the cash of an account that invests it by itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import Attempt, Event, Signal, SignalEvent, SnapshotRow
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE
from rebalancer.planning.idle_cash import CashLook, cash_look

CHANNEL = "idle-cash"
"""Of the signals that such accounts cause."""


def looks(session: Session, account_id: str, since: datetime) -> list[CashLook]:
    """Each look with a plan, oldest first: since then, and since idle cash was last to be invested."""
    asked = (
        select(func.max(Signal.received_at))
        .join(SignalEvent, SignalEvent.signal_id == Signal.id)
        .join(Event, Event.id == SignalEvent.event_id)
        .where(Signal.channel == CHANNEL, Signal.command == Command.REBALANCE, Event.account_id == account_id)
    )
    begin = max(since, session.scalar(asked) or since)
    rows = session.execute(
        select(SnapshotRow.at, SnapshotRow.positions, SnapshotRow.cash, Attempt.plan)
        .join(Attempt, (Attempt.event_id == SnapshotRow.event_id) & (Attempt.number == SnapshotRow.attempt))
        .where(SnapshotRow.account_id == account_id, SnapshotRow.at > begin)
        .order_by(SnapshotRow.at, SnapshotRow.id)
    )
    found = (cash_look(row.at, row.plan, row.positions, row.cash) for row in rows)
    return [look for look in found if look is not None]


def is_busy(session: Session, account_id: str) -> bool:
    """Whether a rebalance of the account waits or runs: what it leaves is seen afterwards."""
    active = (Event.account_id == account_id, Event.command == Command.REBALANCE, Event.state.in_(ACTIVE))
    return session.scalar(select(Event.id).where(*active).limit(1)) is not None
