"""What all accounts have traded, and are about to buy, as tax rules look at it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, Text, column, func, or_, select

from rebalancer.domain.claims import Claim
from rebalancer.domain.currencies import USD
from rebalancer.domain.household import Household, Intention, Trade
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Side
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.trading_sessions import day_start
from rebalancer.domain.units import Shares, Usd
from rebalancer.ledger import closed_lots
from rebalancer.ledger.models import STOCK, Attempt, Event, FillRow
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState
from rebalancer.realized_gains import Gain, gains, of_year

BATCH = 10_000


def household(session: Session, claim: Claim, symbols: Collection[str], since: datetime) -> Household:
    """See :meth:`~rebalancer.domain.run_record.AccountFacts.household`."""
    chosen = _executions().where(FillRow.symbol.in_(symbols), FillRow.at >= since)
    return Household(tuple(_trade(row) for row in session.scalars(chosen)), tuple(_intentions(session, claim, symbols)))


def executions(session: Session, account_ids: Sequence[str], until: datetime) -> Iterator[Trade]:
    """Every execution of these accounts before then, oldest first, a batch at a time."""
    chosen = _executions().where(FillRow.account_id.in_(account_ids), FillRow.at < until)
    return map(_trade, session.scalars(chosen.execution_options(yield_per=BATCH)))


def realized_gains(session: Session, account_ids: Sequence[str], year: int) -> list[Gain]:
    """What these accounts' sales of a year have realized."""
    until = day_start(date(year + 1, 1, 1))
    stated = closed_lots.stated(session, account_ids, until)
    return of_year(gains(executions(session, account_ids, until), stated), year)


def lately(session: Session, since: datetime) -> list[Trade]:
    """Executions of all accounts since then, oldest first."""
    return [_trade(row) for row in session.scalars(_executions().where(FillRow.at >= since))]


def _executions() -> Select[FillRow]:
    of_stocks = FillRow.security_type == STOCK
    return select(FillRow).where(of_stocks).order_by(FillRow.at, FillRow.order_ref, FillRow.execution)


def _intentions(session: Session, claim: Claim, symbols: Collection[str]) -> Iterator[Intention]:
    orders = func.jsonb_to_recordset(Attempt.plan["orders"])
    planned = orders.table_valued(column("symbol", Text), column("side", Text), column("quantity", Text))
    planned = planned.render_derived(with_types=True)
    rows: Any = session.execute(
        select(Event.account_id, planned.c.symbol, planned.c.quantity)
        .select_from(Event)
        .join(Attempt, (Attempt.event_id == Event.id) & (Attempt.number == Event.attempt))
        .join(planned, planned.c.symbol.in_(symbols))
        .where(
            or_(Event.state == EventState.RUNNING, (Event.state == EventState.HELD) & (Event.rule == Rule.APPROVAL)),
            Event.exclusive,
            Event.account_id != claim.account_id,
            Attempt.plan.is_not(None),
            planned.c.side == Side.BUY,
        )
        .order_by(Event.account_id, planned.c.symbol)
    )
    return (Intention(account_id, symbol, int(quantity)) for account_id, symbol, quantity in rows)


def _trade(row: FillRow) -> Trade:
    """What is charged or booked in another currency than dollars is not known in dollars."""
    dollars = row.currency == USD
    return Trade(
        account_id=row.account_id,
        symbol=row.symbol,
        side=Side(row.side),
        at=row.at,
        quantity=Shares(row.quantity),
        price=row.price,
        commission=Usd(row.commission if dollars and row.commission is not None else ZERO),
        realized=Usd(row.realized) if dollars and row.realized is not None else None,
    )
