"""Money over time: equity by day, what came or went without a trade, and what trading cost, by month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Date, Over, cast, func, select
from sqlalchemy.dialects.postgresql import distinct_on

from rebalancer.domain.commands import Command
from rebalancer.domain.money import ZERO
from rebalancer.ledger.models import Event, FillRow, Order, SnapshotRow
from rebalancer.ledger.queries.past_events import SLIPPAGE, Traded
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState

LEAST_FLOW = Decimal("0.005")
"""Of equity: what is less may be dividends, interest or fees as well."""
REACH = timedelta(days=31)
"""So much older than what is shown may the look be that the first one shown is compared with."""


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
    of_account, last = SnapshotRow.account_id.in_(account_ids), SnapshotRow.at.desc()
    newest = (
        select(_day(SnapshotRow.at).label("day"), SnapshotRow.account_id, SnapshotRow.net_liquidation)
        .ext(distinct_on(_day(SnapshotRow.at), SnapshotRow.account_id))
        .where(of_account)
        .order_by(_day(SnapshotRow.at), SnapshotRow.account_id, last, SnapshotRow.id.desc())
    )
    by_day: defaultdict[date, dict[str, Decimal]] = defaultdict(dict)
    for row in session.execute(newest):
        by_day[row.day][row.account_id] = row.net_liquidation
    rebalanced, flows = _rebalanced(session, account_ids), _flows(session, account_ids, since)
    known: dict[str, Decimal] = {}
    found = []
    for day in sorted(by_day):
        flow = flows.get(day, ZERO) + sum((by_day[day][one] for one in by_day[day].keys() - known.keys()), ZERO)
        known |= by_day[day]
        if since is None or day >= since.date():
            found.append(Day(day, sum(known.values(), ZERO), day in rebalanced, flow))
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
        .where(FillRow.account_id.in_(account_ids))
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


def _day(at: Any) -> ColumnElement[date]:
    return cast(func.timezone("UTC", at), Date)


def _rebalanced(session: Session, account_ids: Sequence[str]) -> set[date]:
    return set(
        session.scalars(
            select(_day(Event.finished_at))
            .distinct()
            .where(
                Event.account_id.in_(account_ids),
                Event.command == Command.REBALANCE,
                Event.state == EventState.SUCCEEDED,
            )
        )
    )


def _flows(session: Session, account_ids: Sequence[str], since: datetime | None) -> dict[date, Decimal]:
    """Cash that is not as the event before left it although every position is: a deposit or a withdrawal. Where a
    position has changed too, somebody may have traded by hand, and nothing is said.
    """
    before = select(
        SnapshotRow.at,
        SnapshotRow.net_liquidation,
        SnapshotRow.positions,
        (SnapshotRow.cash - _before(SnapshotRow.cash)).label("flow"),
        _before(SnapshotRow.positions).label("earlier_positions"),
        (SnapshotRow.event_id != _before(SnapshotRow.event_id)).label("other_event"),
    ).where(SnapshotRow.account_id.in_(account_ids))
    if since is not None:
        before = before.where(SnapshotRow.at >= since - REACH)
    one = before.subquery()
    large = func.abs(one.c.flow) >= LEAST_FLOW * func.abs(one.c.net_liquidation)
    found: defaultdict[date, Decimal] = defaultdict(Decimal)
    for row in session.execute(select(_day(one.c.at).label("day"), one).where(one.c.other_event, large)):
        if _held(row.positions) == _held(row.earlier_positions):
            found[row.day] += row.flow
    return found


def _before(column: Any) -> Over[Any]:
    """A column of the account's snapshot before."""
    return func.lag(column).over(partition_by=SnapshotRow.account_id, order_by=(SnapshotRow.at, SnapshotRow.id))


def _held(positions: list[dict[str, Any]]) -> dict[str, Decimal]:
    return {one["symbol"]: Decimal(one["quantity"]) for one in positions}
