"""Money over time: equity by day, what came or went without a trade, and what trading cost, by month."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Select,
    case,
    cast,
    func,
    literal_column,
    select,
    true,
)

from rebalancer.domain.cash_flows import LEAST, CashFlowKind
from rebalancer.domain.commands import Command
from rebalancer.domain.money import ZERO
from rebalancer.ledger.models import STOCK, Event, FillRow, Order, SnapshotRow
from rebalancer.ledger.queries.past_events import SLIPPAGE, Traded
from rebalancer.ledger.queries.portfolio import each_account
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState


@dataclass(frozen=True, slots=True)
class Day:
    """An account, or all of them, at the last snapshot of a day (UTC).

    Attributes:
        equity: USD.
        rebalanced: a rebalance succeeded that day.
        flow: USD of cash that came (+) or went without a trade, as far as the ledger can tell, and of accounts that
            were looked at for the first time.
    """

    day: date
    equity: Decimal
    rebalanced: bool
    flow: Decimal


@dataclass(frozen=True, slots=True)
class Month:
    """What an account traded in a month (UTC), beginning at ``first``."""

    first: date
    account_id: str
    traded: Traded


def days(session: Session, account_ids: Sequence[str], since: datetime | None) -> list[Day]:
    """Equity of accounts together by day, oldest first; an account counts with its last known value.

    Args:
        since: earlier days are left out; ``None`` leaves out none.
    """
    since = since or _first_look(session, account_ids)
    if since is None:
        return []
    since = datetime.combine(since.astimezone(UTC), time(), UTC)
    flows, rebalanced = _flows(session, account_ids, since), _rebalanced(session, account_ids, since)
    equity = ZERO
    found = []
    for day, gained, begun in session.execute(_changes(account_ids, since)):
        equity += gained
        if day >= since.date():
            found.append(Day(day, equity, day in rebalanced, flows.get(day, ZERO) + begun))
    return found


def months(session: Session, account_ids: Sequence[str]) -> list[Month]:
    """What each account traded in each month with fills, the newest first."""
    month = func.date_trunc("month", func.timezone("UTC", FillRow.at))
    rows: Any = session.execute(
        select(
            cast(month, Date),
            FillRow.account_id,
            func.count(FillRow.order_ref.distinct()),
            func.sum(FillRow.quantity * FillRow.price),
            func.coalesce(func.sum(FillRow.commission), 0),
            func.sum(SLIPPAGE),
        )
        .join(Order, Order.order_ref == FillRow.order_ref)
        .where(FillRow.account_id.in_(account_ids), FillRow.security_type == STOCK)
        .group_by(month, FillRow.account_id)
        .order_by(month.desc(), FillRow.account_id)
    )
    return [Month(first, account_id, Traded(*amounts)) for first, account_id, *amounts in rows]


def together(found: Iterable[Month]) -> list[tuple[date, Traded]]:
    """The same over all accounts."""
    sums: dict[date, Traded] = {}
    for one in found:
        so_far = sums.get(one.first, Traded())
        sums[one.first] = Traded(
            orders=so_far.orders + one.traded.orders,
            turnover=so_far.turnover + one.traded.turnover,
            commission=so_far.commission + one.traded.commission,
            slippage=so_far.slippage + one.traded.slippage,
        )
    return list(sums.items())


def _first_look(session: Session, account_ids: Sequence[str]) -> datetime | None:
    account = each_account(account_ids)
    of_account = SnapshotRow.account_id == account.c.id
    first = select(SnapshotRow.at).where(of_account).order_by(SnapshotRow.at).limit(1).lateral()
    found: datetime | None = session.scalar(select(func.min(first.c.at)).select_from(account).join(first, true()))
    return found


def _changes(account_ids: Sequence[str], since: datetime) -> Select[Any]:
    """By day: how much more the accounts are worth than at the look before, and how much of that is of accounts which
    were looked at for the first time. The day before ``since`` stands for all that was before.

    One look of an account and day is read, however many there are.
    """
    account = each_account(account_ids)
    before = since - timedelta(days=1)
    series = func.generate_series(func.timezone("UTC", before), func.timezone("UTC", func.now()), timedelta(days=1))
    days = select(series.label("day")).subquery()
    begins, ends = (func.timezone("UTC", days.c.day + timedelta(days=many)) for many in (0, 1))
    last = (
        select(SnapshotRow.net_liquidation)
        .where(
            SnapshotRow.account_id == account.c.id,
            SnapshotRow.at >= case((begins == before, literal_column("'-infinity'::timestamptz")), else_=begins),
            SnapshotRow.at < ends,
        )
        .order_by(SnapshotRow.at.desc(), SnapshotRow.id.desc())
        .limit(1)
        .lateral()
    )
    earlier = func.lag(last.c.net_liquidation).over(partition_by=account.c.id, order_by=days.c.day)
    looks = select(cast(days.c.day, Date).label("day"), last.c.net_liquidation, earlier.label("earlier"))
    one = looks.select_from(account).join(days, true()).join(last, true()).subquery()
    gained = func.sum(one.c.net_liquidation - func.coalesce(one.c.earlier, 0))
    begun = func.sum(one.c.net_liquidation).filter(one.c.earlier.is_(None))
    return select(one.c.day, gained, func.coalesce(begun, 0)).group_by(one.c.day).order_by(one.c.day)


def _day(at: Any) -> ColumnElement[date]:
    return cast(func.timezone("UTC", at), Date)


def _rebalanced(session: Session, account_ids: Sequence[str], since: datetime) -> set[date]:
    return set(
        session.scalars(
            select(_day(Event.finished_at))
            .distinct()
            .where(
                Event.account_id.in_(account_ids),
                Event.command == Command.REBALANCE,
                Event.state == EventState.SUCCEEDED,
                Event.finished_at >= since,
            )
        )
    )


def _flows(session: Session, account_ids: Sequence[str], since: datetime) -> dict[date, Decimal]:
    """Deposits and withdrawals; a dividend is a gain."""
    large = func.abs(SnapshotRow.flow) >= LEAST * func.abs(SnapshotRow.net_liquidation)
    large &= SnapshotRow.flow_kind.is_distinct_from(CashFlowKind.DIVIDEND)
    day = _day(SnapshotRow.at)
    rows: Any = session.execute(
        select(day, func.sum(SnapshotRow.flow))
        .where(SnapshotRow.account_id.in_(account_ids), SnapshotRow.at >= since, large)
        .group_by(day)
    )
    return dict(rows.all())
