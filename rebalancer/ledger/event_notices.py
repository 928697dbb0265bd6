"""Which changes of events people are told of; each is put into the outbox by the transaction that makes it.

What repeats is told once: a failing event when it needs a person and when it has succeeded after all, not per try.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select

from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import outbox
from rebalancer.ledger.models import Attempt, Event, Order, SnapshotRow
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import Outcome
from rebalancer.ledger.transitions import named
from rebalancer.ledger.unreported_fills import worth
from rebalancer.risk import Blocked


def attempt_ended(
    session: Session, claim: Claim, outcome: Outcome, reason: str | None, result: Mapping[str, Any] | None
) -> None:
    """Tell of a run's end, after it was recorded."""
    if outcome is Outcome.SUCCEEDED:
        _succeeded(session, claim, (result or {}).get("frozen", ()))
        _left_alone(session, claim, (result or {}).get("attention", ()))
        _corporate_actions(session, claim, (result or {}).get("corporate_actions", ()))
    elif outcome is Outcome.FAILED:
        _failed(session, claim, reason or "")


def held(session: Session, claim: Claim, blocked: Blocked) -> None:
    """Tell that an event waits, once for the same news, however often it is held again; of a plan or a strategy that is
    before a person they are told by itself.
    """
    if blocked.rule in (Rule.APPROVAL, Rule.CANARY, Rule.BREAKER):
        return
    key = f"held:{claim.event_id}:{sha256(blocked.news.encode()).hexdigest()}"
    outbox.tell(
        session, NoticeKind.HELD, claim.account_id, claim.event_id, key, command=claim.command, reason=blocked.reason
    )


def crashed(session: Session, event: Event, crashes: int) -> None:
    """Tell that an event's workers keep dying."""
    outbox.tell(session, NoticeKind.ATTENTION, event.account_id, event.id, command=event.command, crashes=crashes)


def removed(session: Session, event_id: UUID, reason: str) -> None:
    """Tell that somebody ended an event, once, whether it stops at once or at its next step."""
    event = session.execute(select(Event.account_id, Event.command).where(Event.id == event_id)).one()
    key = f"removed:{event_id}"
    outbox.tell(session, NoticeKind.REMOVED, event.account_id, event_id, key, command=event.command, reason=reason)


def _succeeded(session: Session, claim: Claim, frozen: Sequence[str]) -> None:
    live = claim.command is Command.REBALANCE
    if not live and not claim.needs_attention:
        return
    kind = NoticeKind.RECOVERED if claim.needs_attention else NoticeKind.REBALANCED
    detail: dict[str, Any] = {"command": claim.command, "failures": claim.failures}
    if live:
        detail["trades"] = _trades(session, claim)
        detail |= {"frozen": list(frozen)} if frozen else {}
    outbox.tell(session, kind, claim.account_id, claim.event_id, **detail)


def _left_alone(session: Session, claim: Claim, holdings: Sequence[str]) -> None:
    """Once for the same symbols, whatever their prices are."""
    if holdings and claim.command is Command.REBALANCE:
        symbols = ",".join(words.partition(":")[0] for words in holdings)
        key = f"left-alone:{claim.account_id}:{symbols}"
        outbox.tell(session, NoticeKind.LEFT_ALONE, claim.account_id, claim.event_id, key, holdings=list(holdings))


def _corporate_actions(session: Session, claim: Claim, changes: Sequence[str]) -> None:
    """Once: the next run compares with this one."""
    if changes and claim.command is Command.REBALANCE:
        outbox.tell(session, NoticeKind.CORPORATE_ACTION, claim.account_id, claim.event_id, changes=list(changes))


def _failed(session: Session, claim: Claim, error: str) -> None:
    needs_attention = session.scalar(select(Event.needs_attention).where(Event.id == claim.event_id))
    raised = bool(needs_attention) and not claim.needs_attention
    first = claim.failures == 0 and claim.command is Command.REBALANCE
    if raised or first:
        kind = NoticeKind.ATTENTION if raised else NoticeKind.FAILING
        failures = claim.failures + 1
        outbox.tell(
            session, kind, claim.account_id, claim.event_id, command=claim.command, error=error, failures=failures
        )


_NUMBERS = (Attempt.event_id == bindparam("event_id"), Attempt.number < bindparam("attempt"))
_BEFORE = (
    select(func.coalesce(func.max(Attempt.number), 0))
    .where(*_NUMBERS, Attempt.outcome == Outcome.SUCCEEDED)
    .scalar_subquery()
)
_TRADES = Prepared(
    "trades_of_event",
    select(Order.side, Order.symbol, func.sum(Order.filled).label("quantity"), func.sum(worth()).label("value"))
    .where(Order.event_id == bindparam("event_id"), Order.attempt > _BEFORE, Order.filled > 0)
    .group_by(Order.side, Order.symbol)
    .order_by(Order.side.desc(), Order.symbol),
)
_EQUITY = Prepared(
    "equity_of_event",
    select(SnapshotRow.net_liquidation)
    .where(SnapshotRow.event_id == bindparam("event_id"))
    .order_by(SnapshotRow.id.desc())
    .limit(1),
)


def _trades(session: Session, claim: Claim) -> list[dict[str, Any]]:
    """What the event has bought and sold since its last success, in however many attempts; sells first."""
    rows = _TRADES.rows(session, named(claim))
    equity = _EQUITY.scalar(session, named(claim))
    return [
        {
            "side": row.side,
            "symbol": row.symbol,
            "quantity": f"{row.quantity:f}",
            "value": f"{row.value:f}",
            "share": str(row.value / equity) if equity else None,
        }
        for row in rows
    ]
