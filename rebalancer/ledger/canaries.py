"""A signal that one account trades first, and what is on record of how it fares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, true, update
from sqlalchemy import insert as plain_insert

from rebalancer.costs.shortfall import Decided
from rebalancer.domain.portfolio import Side
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.strategy_holds import CanaryTerms, HoldKind, HoldState, StrategyGuard, StrategyHold
from rebalancer.domain.units import Shares, Usd
from rebalancer.ledger import holds, strategy_holds
from rebalancer.ledger.models import Attempt, Event, FillRow, HaltRow, Order, SnapshotRow, StrategyHoldRow
from rebalancer.ledger.queries.portfolio import each_account
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState, Outcome
from rebalancer.risk.canary import Executed, Trial, judge

SWITCHED_OFF = "an edit of the accounts file, which has no such guard any more"
CLOSED = (Rule.MARKET_HOURS, Rule.GATEWAY_RESTART, Rule.ON_CLOSE)
"""What a canary waits by without its time running."""


def begin(
    session: Session, strategy: str, signal_id: int, served: Sequence[tuple[str, Any, int]], terms: CanaryTerms
) -> None:
    """The smallest of several accounts trades a signal first.

    Args:
        served: account, event and the signal's number there, of each.
    """
    smallest = _smallest(session, [account_id for account_id, _, _ in served])
    account_id, event_id, request_no = next(one for one in served if one[0] == smallest)
    session.execute(
        plain_insert(StrategyHoldRow).values(
            kind=HoldKind.CANARY,
            strategy=strategy,
            signal_id=signal_id,
            event_id=event_id,
            account_id=account_id,
            request_no=request_no,
            state=HoldState.TRADING,
            judge_by=func.now() + terms.within,
        )
    )


def _smallest(session: Session, account_ids: Sequence[str]) -> str:
    """By the equity that is on record; a halted account, and one of which nothing is known, comes after the others."""
    account = each_account(account_ids)
    newest = (
        select(SnapshotRow.net_liquidation)
        .where(SnapshotRow.account_id == account.c.id)
        .order_by(SnapshotRow.at.desc(), SnapshotRow.id.desc())
        .limit(1)
        .lateral()
    )
    halted = select(HaltRow.id).where(HaltRow.scope == account.c.id, HaltRow.lifted_at.is_(None)).exists()
    ranked = (
        select(account.c.id)
        .outerjoin(newest, true())
        .order_by(halted, newest.c.net_liquidation.asc().nulls_last(), account.c.id)
    )
    return str(session.scalars(ranked.limit(1)).one())


def settle(session: Session, hold_id: int, guards: Mapping[str, StrategyGuard]) -> StrategyHold | None:
    """Judge a canary that trades: let the others go, or ask a person, as soon as it can be said. What an edit of the
    accounts file has switched off holds nothing any more.

    Returns:
        The hold if it has changed.
    """
    row = session.get_one(StrategyHoldRow, hold_id)
    guard = guards.get(row.strategy, StrategyGuard())
    if not guard.has(HoldKind(row.kind)):
        ended = strategy_holds.end(session, hold_id, HoldState.RELEASED, SWITCHED_OFF) is not None
    elif guard.canary is not None and row.state == HoldState.TRADING:
        ended = _judged(session, row, guard.canary)
    else:
        return None
    session.refresh(row)
    return holds.view(row) if ended else None


def _judged(session: Session, row: StrategyHoldRow, terms: CanaryTerms) -> bool:
    """Whether it was said. Everything is read before anything is locked: it is looked at each second."""
    if _waits_for_the_open(session, row, terms):
        return False
    verdict = judge(_trial(session, row), terms)
    if verdict is None:
        return False
    if not verdict:
        return strategy_holds.end(session, row.id, HoldState.PASSED, "the canary") is not None
    return strategy_holds.ask(session, row.id, verdict)


def _waits_for_the_open(session: Session, row: StrategyHoldRow, terms: CanaryTerms) -> bool:
    """Its time begins when that has come."""
    event = session.get_one(Event, row.event_id)
    if event.state != EventState.HELD or event.rule not in CLOSED:
        return False
    later = max(row.judge_by or event.due_at, event.due_at + terms.within)
    session.execute(update(StrategyHoldRow).where(StrategyHoldRow.id == row.id).values(judge_by=later))
    return True


def _trial(session: Session, row: StrategyHoldRow) -> Trial:
    event = session.get_one(Event, row.event_id)
    counting = (Attempt.event_id == row.event_id, Attempt.observed_generation >= row.request_no)
    tried = session.execute(
        select(Attempt.outcome, Attempt.kind, Attempt.error, Attempt.refused).where(*counting)
    ).all()
    paid = event.state == EventState.HELD and event.rule == Rule.SETTLEMENT and bool(tried)
    finished = paid or any(one.outcome == Outcome.SUCCEEDED and one.kind == RebalanceMode.FULL for one in tried)
    overdue = session.scalar(select(StrategyHoldRow.judge_by < func.now()).where(StrategyHoldRow.id == row.id))
    return Trial(
        refusals=tuple(dict.fromkeys(str(one.error) for one in tried if one.refused)),
        executed=_executed(session, row) if finished or overdue else (),
        finished=finished,
        removed=event.state == EventState.REMOVED or event.remove_requested,
        overdue=bool(overdue),
        state=f"{event.state}, {event.reason}" if event.last_error is None else f"{event.state}, {event.last_error}",
    )


def _executed(session: Session, row: StrategyHoldRow) -> tuple[Executed, ...]:
    rows = session.execute(
        select(
            Order.symbol,
            Order.side,
            Order.filled,
            func.coalesce(func.sum(FillRow.quantity), 0).label("told"),
            func.coalesce(func.sum(FillRow.quantity * FillRow.price), 0).label("value"),
            *(Attempt.inputs["quotes"][Order.symbol][side].astext.label(side) for side in ("bid", "ask")),
        )
        .join(Attempt, (Attempt.event_id == Order.event_id) & (Attempt.number == Order.attempt))
        .outerjoin(FillRow, FillRow.order_ref == Order.order_ref)
        .where(Order.event_id == row.event_id, Attempt.observed_generation >= row.request_no, Order.filled > 0)
        .group_by(Order.order_ref, Attempt.event_id, Attempt.number)
        .order_by(Order.order_ref)
    )
    return tuple(
        Executed(
            symbol=one.symbol,
            side=Side(one.side),
            filled=Shares(one.filled),
            told=Shares(one.told),
            value=Usd(one.value),
            mid=quote.mid if (quote := Decided.read(one.bid, one.ask)) else None,
        )
        for one in rows
    )
