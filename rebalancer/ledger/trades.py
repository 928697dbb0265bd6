"""What a run decided and what its orders became."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import and_, case, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from rebalancer.ledger.events import Claim
from rebalancer.ledger.models import Attempt, FillRow, Order, OrderReport, SnapshotRow
from rebalancer.ledger.session import Session
from rebalancer.model import AccountSnapshot, Position, ProposedOrder, Side
from rebalancer.money import ZERO
from rebalancer.order_states import OrderStatus, advance
from rebalancer.orders import CommissionReport, Fill, OrderRequest, OrderTrace, OrderUpdate, StatusUpdate

PLANNED = "Planned"
NEVER_SENT = "NeverSent"
UNLISTED = "Unlisted"
"""The broker lists only its own day: an older order may have been filled, and counts as sent."""
UNACKNOWLEDGED = "Unacknowledged"
"""The gateway took it and said nothing of it: a window on its screen may still send it, see ``unacknowledged``."""
RELEASED = "Released"
"""It was unacknowledged and is gone, by a restart of the gateway or by a person's word."""


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the ledger has it; amounts in USD.

    Attributes:
        average_price: of its fills, ``None`` without any.
        commission: sum of what is known.
    """

    order_ref: str
    symbol: str
    side: str
    quantity: int
    status: str
    filled: Decimal
    average_price: Decimal | None
    commission: Decimal


@dataclass(frozen=True, slots=True)
class AfterSnapshot:
    """A snapshot and our fills since.

    Attributes:
        commissions: USD by execution id, as far as known.
    """

    snapshot: AccountSnapshot
    fills: tuple[Fill, ...]
    commissions: Mapping[str, Decimal]


def record_decision(session: Session, claim: Claim, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
    """Keep what the attempt saw and what it proposes, before anything is sent."""
    session.execute(
        update(Attempt)
        .where(Attempt.event_id == claim.event_id, Attempt.number == claim.attempt)
        .values(inputs=inputs, plan=plan)
    )


def record_round(session: Session, claim: Claim, why: str, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
    """Keep a further plan of the same attempt beside its first."""
    attempt = session.scalars(
        select(Attempt).where(Attempt.event_id == claim.event_id, Attempt.number == claim.attempt)
    ).one()
    earlier = attempt.plan.get("further_rounds", [])
    further = [*earlier, {"why": why, "inputs": inputs, "plan": plan}]
    attempt.plan = {**attempt.plan, "further_rounds": further}


def record_snapshot(
    session: Session,
    claim: Claim,
    moment: Literal["before", "after"],
    snapshot: AccountSnapshot,
    positions: Sequence[dict[str, Any]],
) -> None:
    """Keep the account as the broker reported it."""
    session.add(
        SnapshotRow(
            account_id=snapshot.account_id,
            event_id=claim.event_id,
            attempt=claim.attempt,
            moment=moment,
            at=snapshot.at,
            net_liquidation=snapshot.net_liquidation,
            cash=snapshot.cash,
            settled_cash=snapshot.settled_cash,
            available_funds=snapshot.available_funds,
            positions=list(positions),
        )
    )


def record_intents(session: Session, claim: Claim, orders: Iterable[tuple[ProposedOrder, OrderRequest]]) -> None:
    """Commit to order refs; must be committed before any of the orders is sent."""
    for proposed, request in orders:
        session.add(
            Order(
                order_ref=request.order_ref,
                event_id=claim.event_id,
                attempt=claim.attempt,
                account_id=request.account_id,
                symbol=request.symbol,
                contract_id=request.contract_id,
                side=request.side,
                quantity=request.quantity,
                order_type=request.order_type,
                limit_price=request.limit_price,
                time_in_force=request.time_in_force,
                planned_price=proposed.price,
                planned_fee=proposed.fee,
                reason=proposed.reason,
                status=PLANNED,
            )
        )


def record_updates(session: Session, reports: Sequence[OrderUpdate]) -> None:
    """Keep what the broker reported, in order of arrival."""
    refs = {report.order_ref for report in reports if not isinstance(report, CommissionReport)}
    found = session.scalars(select(Order).where(Order.order_ref.in_(refs)).order_by(Order.order_ref).with_for_update())
    orders = {order.order_ref: order for order in found}
    for report in reports:
        match report:
            case StatusUpdate():
                _record_status(session, orders[report.order_ref], report)
            case Fill():
                _record_fill(session, report)
            case CommissionReport():
                _record_commission(session, report)
    for ref in {report.order_ref for report in reports if isinstance(report, Fill)}:
        _sum_fills(session, orders[ref])


def record_trace(session: Session, trace: OrderTrace) -> None:
    """Keep what the broker's lists say of an order; it is settled unless it is still open."""
    record_updates(session, (*trace.fills, *trace.commissions))
    order = session.get_one(Order, trace.order_ref)
    order.perm_id = trace.perm_id or order.perm_id
    order.status = trace.status
    order.settled_at = None if trace.open else func.now()
    _report(session, order, "found in the broker's lists")


def record_never_sent(session: Session, order_refs: Iterable[str], why: str) -> None:
    """Settle orders that never reached the broker."""
    for order in session.scalars(select(Order).where(Order.order_ref.in_(list(order_refs)))):
        order.status = NEVER_SENT
        order.settled_at = func.now()
        _report(session, order, why)


def record_missing(session: Session, order_refs: Iterable[str], listed_since: datetime) -> None:
    """Settle orders that are in none of the broker's lists, which go back to ``listed_since``; those that may still be
    sent stay as they are.
    """
    chosen = Order.order_ref.in_(list(order_refs)), Order.status != UNACKNOWLEDGED
    never_sent = []
    for order in session.scalars(select(Order).where(*chosen)):
        if order.created_at < listed_since:
            order.status = UNLISTED
            order.settled_at = func.now()
            _report(session, order, "older than the broker's lists; positions and cash show what became of it")
        elif order.status == RELEASED:
            order.settled_at = func.now()
        else:
            never_sent.append(order.order_ref)
    record_never_sent(session, never_sent, "in none of the broker's lists")


def settle(session: Session, order_refs: Iterable[str]) -> None:
    """Note that nothing more can follow for these orders; their fills may have been all that the broker told."""
    filled = case((Order.filled >= Order.quantity, OrderStatus.FILLED.value), else_=Order.status)
    chosen = Order.order_ref.in_(list(order_refs))
    session.execute(update(Order).where(chosen).values(settled_at=func.now(), status=filled))


def unsettled_refs(session: Session, account_id: str) -> list[str]:
    """Refs of the account's orders whose outcome is not on record."""
    return list(
        session.scalars(
            select(Order.order_ref)
            .where(Order.account_id == account_id, Order.settled_at.is_(None))
            .order_by(Order.created_at, Order.order_ref)
        )
    )


def unexplained_refs(session: Session, account_id: str) -> list[str]:
    """Refs of the account's settled orders of the last day that the broker may still say something of: orders that it
    did not know, and fills whose commission it has not told.
    """
    unpaid = exists().where(FillRow.order_ref == Order.order_ref, FillRow.commission.is_(None))
    return list(
        session.scalars(
            select(Order.order_ref)
            .where(
                Order.account_id == account_id,
                Order.settled_at.is_not(None),
                Order.created_at > func.now() - timedelta(days=1),
                or_(Order.status.in_((NEVER_SENT, UNLISTED, RELEASED)), unpaid),
            )
            .order_by(Order.created_at, Order.order_ref)
        )
    )


def last_run(session: Session, account_id: str, within: timedelta) -> AfterSnapshot | None:
    """The account as it was before the newest run that traded, and what that run has filled since.

    Returns:
        ``None`` if there was no such run, or neither its beginning nor a fill of it is so recent.
    """
    ours = and_(Order.event_id == SnapshotRow.event_id, Order.attempt == SnapshotRow.attempt)
    filled = exists().where(FillRow.order_ref == Order.order_ref, ours)
    before = session.scalar(
        select(SnapshotRow)
        .where(
            SnapshotRow.account_id == account_id,
            SnapshotRow.moment == "before",
            or_(SnapshotRow.at > func.now() - within, filled.where(FillRow.at > func.now() - within)),
            filled,
        )
        .order_by(SnapshotRow.id.desc())
        .limit(1)
    )
    if before is None:
        return None
    rows = session.scalars(
        select(FillRow)
        .join(Order, Order.order_ref == FillRow.order_ref)
        .where(Order.event_id == before.event_id, Order.attempt == before.attempt)
    ).all()
    return AfterSnapshot(
        _snapshot(before),
        tuple(_fill(row) for row in rows),
        {_execution_id(row): row.commission for row in rows if row.commission is not None},
    )


def _snapshot(row: SnapshotRow) -> AccountSnapshot:
    """What is needed of it: cash and the positions that are ever traded, which are those with a price."""
    held = tuple(Position(one["symbol"], Decimal(one["quantity"])) for one in row.positions if one["price"] is not None)
    return AccountSnapshot(
        row.account_id, row.at, row.net_liquidation, row.cash, row.settled_cash, row.available_funds, held
    )


def _execution_id(row: FillRow) -> str:
    return f"{row.execution}.{row.revision}"


def _fill(row: FillRow) -> Fill:
    return Fill(
        order_ref=row.order_ref,
        execution_id=_execution_id(row),
        at=row.at,
        account_id=row.account_id,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        price=row.price,
        cumulative_quantity=row.quantity,
        perm_id=0,
    )


def _report(session: Session, order: Order, text: str) -> None:
    """What we concluded ourselves stands among the broker's reports."""
    session.add(
        OrderReport(
            order_ref=order.order_ref,
            at=func.now(),
            status=order.status,
            filled=order.filled,
            remaining=max(ZERO, order.quantity - order.filled),
            text=text,
            confirmed=False,
        )
    )


def orders_of(session: Session, claim: Claim) -> tuple[OrderRecord, ...]:
    """The attempt's orders, in order of sending."""
    amount = func.sum(FillRow.quantity * FillRow.price) / func.nullif(func.sum(FillRow.quantity), 0)
    rows = session.execute(
        select(Order, amount, func.sum(FillRow.commission))
        .outerjoin(FillRow, FillRow.order_ref == Order.order_ref)
        .where(Order.event_id == claim.event_id, Order.attempt == claim.attempt)
        .group_by(Order.order_ref)
        .order_by(Order.created_at, Order.order_ref)
    )
    return tuple(
        OrderRecord(o.order_ref, o.symbol, o.side, o.quantity, o.status, o.filled, price, commission or ZERO)
        for o, price, commission in rows
    )


def _record_status(session: Session, order: Order, report: StatusUpdate) -> None:
    session.add(
        OrderReport(
            order_ref=report.order_ref,
            at=func.clock_timestamp() if report.unacknowledged else report.at,  # compared with a restart's
            status=UNACKNOWLEDGED if report.unacknowledged else report.status,
            filled=report.filled,
            remaining=report.remaining,
            code=report.code,
            text=report.text,
            confirmed=report.confirmed,
        )
    )
    if report.confirmed:
        known = OrderStatus(order.status) if order.status in frozenset(OrderStatus) else OrderStatus.API_PENDING
        order.status = advance(known, report.status)
    elif report.unacknowledged:
        order.status = UNACKNOWLEDGED
    order.filled = max(order.filled, report.filled)
    order.order_id, order.client_id = report.order_id, report.client_id
    order.perm_id = report.perm_id or order.perm_id


def _record_fill(session: Session, fill: Fill) -> None:
    execution, revision = split_execution_id(fill.execution_id)
    values = {
        "revision": revision,
        "account_id": fill.account_id,
        "symbol": fill.symbol,
        "side": fill.side,
        "at": fill.at,
        "quantity": fill.quantity,
        "price": fill.price,
    }
    session.execute(
        insert(FillRow)
        .values(order_ref=fill.order_ref, execution=execution, **values)
        .on_conflict_do_update(
            index_elements=[FillRow.order_ref, FillRow.execution], set_=values, where=FillRow.revision < revision
        )
    )


def _sum_fills(session: Session, order: Order) -> None:
    """The executions are the truth about what was filled: a correction can lower it."""
    order.filled = (
        session.scalar(select(func.sum(FillRow.quantity)).where(FillRow.order_ref == order.order_ref)) or ZERO
    )


def _record_commission(session: Session, report: CommissionReport) -> None:
    """A correction keeps the commission of what it corrects, until one is told for itself."""
    execution, revision = split_execution_id(report.execution_id)
    session.execute(
        update(FillRow)
        .where(
            FillRow.execution == execution,
            or_(FillRow.revision == revision, FillRow.commission.is_(None)),
        )
        .values(commission=report.commission, currency=report.currency)
    )


def split_execution_id(execution_id: str) -> tuple[str, int]:
    """IBKR's execution id without and with its last dotted part: a higher one corrects the same execution.

    >>> split_execution_id("0000e0d5.00000001.01.02")
    ('0000e0d5.00000001.01', 2)
    """
    base, _, revision = execution_id.rpartition(".")
    return (base, int(revision)) if base and revision.isdigit() else (execution_id, 0)
