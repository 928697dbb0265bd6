"""What a letter says of an account: equity, fills and costs of a week or a month, and what waits."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from rebalancer.costs.records import as_text, summary_record
from rebalancer.costs.styles import StyleTable, style_record
from rebalancer.costs.summary import together
from rebalancer.domain.commands import Command
from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.money import ZERO, optional_text
from rebalancer.domain.periods import Period
from rebalancer.ledger import fill_amounts
from rebalancer.ledger.models import Event, FillRow, Order, SnapshotRow
from rebalancer.ledger.orders import NEVER_SENT
from rebalancer.ledger.queries import costs, digest, money
from rebalancer.ledger.queries.costs import OrderSpan
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState


def account_letter(session: Session, account_id: str, period: Period) -> dict[str, Any] | None:
    """The letter's details as JSON: decimals and times as text, fractions as such; ``None`` where nothing of that time
    or earlier is on record.
    """
    equity = _equity(session, account_id, period)
    traded = _traded(session, account_id, period)
    if equity is None and not traded["orders"]:
        return None
    span, styles = OrderSpan(period.begins_at, period.ends_at, [account_id]), StyleTable()
    costs_of_all = together(styles.watching(costs.sent_in(session, span)))
    return {
        "period": period.name,
        **(equity or dict.fromkeys(("equity", "began", "gain", "flow", "days"))),
        **traded,
        "costs": as_text(summary_record(costs_of_all)),
        **({"styles": [as_text(style_record(one)) for one in styles.rows]} if styles.chosen else {}),
        **digest.waiting(session, account_id),
    }


def _equity(session: Session, account_id: str, period: Period) -> dict[str, Any] | None:
    """At its end, and what became of it; ``days`` are those with a look, after the last look before."""
    began = _equity_before(session, account_id, period.begins_at)
    days = [one for one in money.days(session, [account_id], period.begins_at) if one.day < period.end]
    if began is None and days:
        began, days_since = days[0].equity, days[1:]
    else:
        days_since = days
    if began is None:
        return None
    ended = days[-1].equity if days else began
    flow = sum((one.flow for one in days_since), ZERO)
    return {
        "equity": str(ended),
        "began": str(began),
        "gain": str(ended - began - flow),
        "flow": str(flow),
        "days": [[one.day.isoformat(), str(one.equity)] for one in days],
    }


def _equity_before(session: Session, account_id: str, at: datetime) -> Decimal | None:
    looks = select(SnapshotRow.net_liquidation).where(SnapshotRow.account_id == account_id, SnapshotRow.at < at)
    return session.scalar(looks.order_by(SnapshotRow.at.desc(), SnapshotRow.id.desc()).limit(1))


def _traded(session: Session, account_id: str, period: Period) -> dict[str, Any]:
    trades = session.execute(
        select(
            FillRow.symbol,
            FillRow.side,
            func.sum(FillRow.quantity),
            func.sum(fill_amounts.value()),
            func.sum(FillRow.quantity * FillRow.price),
            func.sum(fill_amounts.commission()),
            func.count(),
        )
        .where(FillRow.account_id == account_id, FillRow.at >= period.begins_at, FillRow.at < period.ends_at)
        .group_by(FillRow.symbol, FillRow.side)
        .order_by(FillRow.symbol, FillRow.side)
    ).all()
    return {
        "rebalances": _rebalances(session, account_id, period),
        **_orders(session, account_id, period),
        "fills": sum(count for *_, count in trades),
        "traded": str(sum((value for symbol, _, _, value, *_ in trades if not CurrencyPair.read(symbol)), ZERO)),
        "trades": [
            {
                "symbol": symbol,
                "side": side,
                "quantity": str(quantity),
                "value": str(value),
                "price": str(paid / quantity),
                "commission": optional_text(commission),
            }
            for symbol, side, quantity, value, paid, commission, _ in trades
        ],
    }


def _rebalances(session: Session, account_id: str, period: Period) -> int:
    chosen = select(func.count()).where(
        Event.account_id == account_id,
        Event.command == Command.REBALANCE,
        Event.state == EventState.SUCCEEDED,
        Event.finished_at >= period.begins_at,
        Event.finished_at < period.ends_at,
    )
    return session.scalar(chosen) or 0


def _orders(session: Session, account_id: str, period: Period) -> dict[str, Any]:
    chosen = select(func.count(), digest.refused_styles()).where(
        Order.account_id == account_id,
        Order.created_at >= period.begins_at,
        Order.created_at < period.ends_at,
        Order.status != NEVER_SENT,
    )
    count, refused = session.execute(chosen).one()
    return {"orders": count, **({"styles_refused": refused} if refused else {})}
