"""What an account's daily digest says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from rebalancer.costs.records import as_text, summary_record
from rebalancer.costs.summary import By, summarize
from rebalancer.domain.money import ZERO
from rebalancer.domain.order_styles import BROKER_REFUSES
from rebalancer.domain.outcomes import FOREVER
from rebalancer.ledger import approvals, halts, holds, unreported_fills
from rebalancer.ledger.models import STOCK, Event, FillRow, Order, ScheduleRow
from rebalancer.ledger.orders import NEVER_SENT
from rebalancer.ledger.queries import costs, portfolio
from rebalancer.ledger.queries.costs import OrderSpan
from rebalancer.ledger.queries.portfolio import Portfolio, Runs
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE


def account_days(
    session: Session, account_ids: Sequence[str], since: datetime, *, with_costs: bool = False
) -> dict[str, dict[str, Any]]:
    """The digest's details by account, as JSON: decimals and times as text, fractions as such.

    Args:
        since: when the day began.
        with_costs: say what trading cost against the prices at which it was decided.
    """
    newest = portfolio.portfolios(session, account_ids)
    runs = portfolio.runs(session, account_ids)
    paid = _costs(session, account_ids, since) if with_costs else {}
    return {
        one: {
            **_portfolio(newest.get(one)),
            **_runs(session, one, runs[one]),
            **_today(session, one, since),
            **waiting(session, one),
            **({"costs": paid[one]} if one in paid else {}),
        }
        for one in account_ids
    }


def waiting(session: Session, account_id: str) -> dict[str, Any]:
    """What of an account waits for a person, or for nothing."""
    return {
        "stuck": _stuck(session, account_id),
        "approvals": len(approvals.pending(session, account_id)),
        "halted": bool(halts.in_force(session, account_id)),
        "stranded": [event.account_id for event in holds.stranded(session)].count(account_id),
    }


def _portfolio(newest: Portfolio | None) -> dict[str, Any]:
    if newest is None:
        return {"equity": None, "drift": None}
    return {"equity": str(newest.net_liquidation), "drift": None if newest.drift is None else str(newest.drift)}


def _runs(session: Session, account_id: str, runs: Runs) -> dict[str, Any]:
    scheduled = session.scalar(select(func.min(ScheduleRow.next_at)).where(ScheduleRow.account_id == account_id))
    known = [at for at in (runs.next_due_at, scheduled) if at is not None and at != FOREVER]
    return {
        "last_run": runs.last_rebalance_at and runs.last_rebalance_at.isoformat(),
        "next_run": min(known).isoformat() if known else None,
        "next_state": runs.next_state,
    }


def _today(session: Session, account_id: str, since: datetime) -> dict[str, Any]:
    orders, refused = session.execute(
        select(func.count(), refused_styles()).where(
            Order.account_id == account_id, Order.created_at >= since, Order.status != NEVER_SENT
        )
    ).one()
    fills, traded, paid = session.execute(
        select(func.count(), func.sum(FillRow.quantity * FillRow.price), func.sum(FillRow.commission)).where(
            FillRow.account_id == account_id, FillRow.security_type == STOCK, FillRow.at >= since
        )
    ).one()
    untold = unreported_fills.notional(Order.account_id == account_id, Order.created_at >= since)
    stated = session.scalar(select(untold)) or ZERO
    return {
        "orders": orders,
        "fills": fills,
        "traded": str((traded or ZERO) + stated),
        "commissions": str(paid or ZERO),
        **({"styles_refused": refused} if refused else {}),
    }


def refused_styles() -> ColumnElement[Any]:
    """Among a query's orders: the styles that the broker has refused, sorted."""
    by_broker = Order.style_why.startswith(BROKER_REFUSES)
    return func.array_agg(func.distinct(Order.style_instead_of)).filter(by_broker)


def _costs(session: Session, account_ids: Sequence[str], since: datetime) -> dict[str, dict[str, Any]]:
    """Of accounts that have traded."""
    found = summarize(costs.sent_in(session, OrderSpan(since, account_ids=account_ids)), By.ACCOUNT)
    return {one.key: as_text(summary_record(one)) for one in found.parts if one.orders or one.without_quote}


def _stuck(session: Session, account_id: str) -> int:
    needing = select(func.count()).where(Event.account_id == account_id, Event.state.in_(ACTIVE), Event.needs_attention)
    return session.scalar(needing) or 0
