"""What a run decided and what its orders became."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Text, bindparam, case, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from rebalancer.domain.account_history import OrderRecord
from rebalancer.domain.claims import Claim
from rebalancer.domain.money import ZERO
from rebalancer.domain.order_progress import addressees
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import (
    CommissionReport,
    Fill,
    OrderRequest,
    OrderTrace,
    OrderUpdate,
    StatusUpdate,
    split_execution_id,
)
from rebalancer.domain.portfolio import AccountSnapshot, ProposedOrder
from rebalancer.ledger import account_snapshots, fills
from rebalancer.ledger.models import Attempt, FillRow, Order, OrderReport
from rebalancer.ledger.prepared import Prepared, Rows
from rebalancer.ledger.session import Session
from rebalancer.ledger.transitions import of_claim
from rebalancer.ledger.unreported_fills import untold, untold_orders

PLANNED = fills.PLANNED
NEVER_SENT = "NeverSent"
UNLISTED = "Unlisted"
"""The broker had it or lists only newer ones: it may have been filled, and counts as sent."""
ENDED = frozenset({OrderStatus.CANCELLED, OrderStatus.API_CANCELLED, OrderStatus.FILLED})
UNACKNOWLEDGED = "Unacknowledged"
"""The gateway took it and said nothing of it: a window on its screen may still send it, see ``unacknowledged``."""
RELEASED = "Released"
"""It was unacknowledged and is gone, by a restart of the gateway or by a person's word."""
REFUSED = "Refused"
"""The broker has refused it for good. While it lists it as Inactive, somebody could still transmit it."""
NOT_FOUND = (NEVER_SENT, UNLISTED, RELEASED)
_IDLE = frozenset({OrderStatus.INACTIVE, OrderStatus.PENDING_SUBMIT})


_DECISION = (
    update(Attempt)
    .where(Attempt.event_id == bindparam("of_event"), Attempt.number == bindparam("of_attempt"))
    .values(inputs=bindparam("what_it_saw"), plan=bindparam("what_it_proposes"))
    .execution_options(synchronize_session=False)
)
"""This and others below are built once: every run needs them."""


def record_decision(session: Session, claim: Claim, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
    """Keep what the attempt saw and what it proposes, before anything is sent."""
    session.execute(_DECISION, of_claim(claim) | {"what_it_saw": inputs, "what_it_proposes": plan})


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
    account_snapshots.keep(
        session,
        account_id=snapshot.account_id,
        event_id=claim.event_id,
        attempt=claim.attempt,
        moment=moment,
        at=snapshot.at,
        net_liquidation=snapshot.net_liquidation,
        cash=snapshot.cash,
        accrued_dividends=snapshot.accrued_dividends,
        settled_cash=snapshot.settled_cash,
        available_funds=snapshot.available_funds,
        base=snapshot.base and snapshot.base.record(),
        positions=list(positions),
    )


_TABLE: Any = Order.__table__
_INTENTS = insert(_TABLE)
"""Of rows, not of objects."""


def record_intents(session: Session, claim: Claim, orders: Iterable[tuple[ProposedOrder, OrderRequest]]) -> None:
    """Commit to order refs; must be committed before any of the orders is sent."""
    rows = [
        {
            "order_ref": request.order_ref,
            "event_id": claim.event_id,
            "attempt": claim.attempt,
            "account_id": request.account_id,
            "symbol": request.symbol,
            "contract_id": request.contract_id,
            "security_type": request.security_type,
            "side": request.side,
            "quantity": request.quantity,
            "order_type": request.order_type,
            "limit_price": request.limit_price,
            "time_in_force": request.time_in_force,
            "planned_price": proposed.price,
            "planned_fee": proposed.fee,
            "reason": proposed.reason,
            "style": request.style and request.style.style,
            "style_why": request.style and request.style.why,
            "style_instead_of": request.style and request.style.instead_of,
            "status": PLANNED,
        }
        for proposed, request in orders
    ]
    session.execute(_INTENTS, rows)


def record_updates(session: Session, reports: Sequence[OrderUpdate]) -> None:
    """Keep what the broker reported, in order of arrival.

    The highest quantity that it stated counts as filled, whether or not it told the executions.
    """
    orders = fills.locked(session, fills.order_refs_of(session, reports))
    told: list[dict[str, Any]] = []
    for report in reports:
        for ref in addressees(report, orders):
            orders[ref].progress = orders[ref].progress.after(report)
        if isinstance(report, StatusUpdate):
            told.append(_told(report))
            _advance(orders[report.order_ref], report)
    fills.write(session, orders.values())
    if told:
        _REPORT.run(session, _REPORTS.lists(told))


def record_correction(session: Session, fill: Fill) -> None:
    """Keep what a correction says of an execution, though its order has ended; other programs' orders are not ours."""
    if session.get(Order, fill.order_ref) is not None:
        record_updates(session, (fill,))


def record_stated(
    session: Session, executions: Sequence[Fill], commissions: Sequence[CommissionReport], source: str
) -> None:
    """Keep what a statement of the broker says that the gateway has not told.

    Args:
        source: for people: where it stands.
    """
    named = {split_execution_id(fill.execution_id)[0]: fill.order_ref for fill in executions}
    known = set(session.scalars(select(FillRow.execution).where(FillRow.execution.in_(named))))
    if executions or commissions:
        record_updates(session, (*executions, *commissions))
    news = named.keys() - known
    session.execute(update(FillRow).where(FillRow.execution.in_(news)).values(stated=True))
    refs = {named[execution] for execution in news}
    for order in session.scalars(select(Order).where(Order.order_ref.in_(refs)).order_by(Order.order_ref)).all():
        if order.final_at is not None and order.filled >= order.quantity:
            order.status = OrderStatus.FILLED
        _report(session, order, source)


def record_trace(session: Session, trace: OrderTrace) -> None:
    """Keep what the broker's lists say of an order; it is final unless it is still open."""
    order = session.get_one(Order, trace.order_ref, with_for_update=True)
    if order.status == REFUSED and trace.lies_idle:
        _finalize_refused(session, order)
        return
    news = order.final_at is None or order.status in NOT_FOUND
    before = (order.status, order.filled)
    record_updates(session, (*trace.fills, *trace.commissions))
    order.perm_id = trace.perm_id or order.perm_id
    order.status = trace.status
    order.stated = max(order.stated, trace.stated)
    order.filled = max(order.filled, trace.stated)
    if trace.open:
        order.final_at = None
    elif news:
        order.final_at = func.now()
    if news or before != (order.status, order.filled):
        how = " by symbol, side and quantity, so perhaps another's" if trace.by_likeness else ""
        _report(session, order, f"found in the broker's lists{how}")
    if not trace.open:
        _note_untold(session, [order.order_ref])


def _finalize_refused(session: Session, order: Order) -> None:
    if order.final_at is None:
        order.final_at = func.now()
        _report(session, order, "refused, and listed as Inactive all the same")


def record_never_sent(session: Session, order_refs: Iterable[str], why: str) -> None:
    """Settle orders that never reached the broker."""
    for order in session.scalars(select(Order).where(Order.order_ref.in_(list(order_refs)))):
        order.status = NEVER_SENT
        order.final_at = func.now()
        _report(session, order, why)


def record_missing(session: Session, order_refs: Iterable[str], listed_since: datetime) -> None:
    """Settle orders that are in none of the broker's lists, which go back to ``listed_since``. Only of orders that the
    broker has never spoken of does that prove anything; those that may still be sent stay as they are.
    """
    chosen = Order.order_ref.in_(list(order_refs)), Order.status != UNACKNOWLEDGED
    for order in session.scalars(select(Order).where(*chosen)).all():
        if order.status in ENDED or order.filled >= order.quantity:
            finalize(session, [order.order_ref])
        elif order.status == REFUSED and not order.filled:
            order.status, order.final_at = OrderStatus.CANCELLED, func.now()
            _report(session, order, "refused, and in none of the broker's lists")
        elif order.perm_id or order.filled or order.created_at < listed_since:
            order.status, order.final_at = UNLISTED, func.now()
            _report(session, order, "the broker's lists prove nothing of it; positions and cash show what became of it")
            _note_untold(session, [order.order_ref])
        elif order.status == RELEASED:
            order.final_at = func.now()
        else:
            record_never_sent(session, [order.order_ref], "in none of the broker's lists")


_FINALIZE = Prepared(
    "finalize_orders",
    update(Order)
    .where(Order.order_ref == func.any(bindparam("refs", type_=ARRAY(Text))))
    .values(
        final_at=func.now(),
        status=case((Order.filled >= Order.quantity, OrderStatus.FILLED.value), else_=Order.status),
    )
    .returning(untold() > 0),
)


def finalize(session: Session, order_refs: Collection[str]) -> None:
    """Note that nothing more can follow for these orders; their fills may have been all that the broker told."""
    if any(_FINALIZE.run(session, {"refs": list(order_refs)}).scalars()):
        _note_untold(session, order_refs)


def _note_untold(session: Session, order_refs: Collection[str]) -> None:
    """Say once of each order that it filled without its executions."""
    for order, shares in untold_orders(session, order_refs):
        text = f"{order.filled:f} filled, execution of {shares:f} not told"
        said = select(OrderReport.id).where(OrderReport.order_ref == order.order_ref, OrderReport.text == text)
        if session.scalar(said.limit(1)) is None:
            _report(session, order, text)


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


_ORDERS = Prepared(
    "orders_of_attempt",
    select(
        Order.order_ref,
        Order.symbol,
        Order.side,
        Order.quantity,
        Order.status,
        Order.filled,
        (func.sum(FillRow.quantity * FillRow.price) / func.nullif(func.sum(FillRow.quantity), 0)).label("price"),
        func.coalesce(func.sum(FillRow.commission), 0).label("commission"),
    )
    .outerjoin(FillRow, FillRow.order_ref == Order.order_ref)
    .where(Order.event_id == bindparam("event_id"), Order.attempt == bindparam("attempt"))
    .group_by(Order.order_ref)
    .order_by(Order.created_at, Order.order_ref),
)


def orders_of(session: Session, claim: Claim) -> tuple[OrderRecord, ...]:
    """The attempt's orders, in order of sending."""
    return tuple(
        OrderRecord(
            order_ref=one.order_ref,
            symbol=one.symbol,
            side=one.side,
            quantity=one.quantity,
            status=one.status,
            filled=one.filled,
            average_price=one.price,
            commission=one.commission,
        )
        for one in _ORDERS.rows(session, {"event_id": claim.event_id, "attempt": claim.attempt})
    )


_REPORTS = Rows(*(one for one in OrderReport.__table__.columns if one.name != "id"))
_at = func.coalesce(_REPORTS.c.at, func.clock_timestamp())
"""The ledger's clock where the time is compared with that of a restart."""
_REPORT = Prepared("report_orders", insert(OrderReport).from_select(_REPORTS.names, _REPORTS.in_order(at=_at)))


def _told(report: StatusUpdate) -> dict[str, Any]:
    return {
        "order_ref": report.order_ref,
        "at": None if report.unacknowledged else report.at,
        "status": UNACKNOWLEDGED if report.unacknowledged else report.status,
        "filled": report.filled,
        "remaining": report.remaining,
        "code": report.code,
        "text": report.text,
        "confirmed": report.confirmed,
    }


def _advance(order: fills.HeardOrder, report: StatusUpdate) -> None:
    """Its progress has that report."""
    if report.refused and report.status in _IDLE:
        order.status = REFUSED
    elif report.confirmed:
        order.status = order.progress.status
    elif report.unacknowledged:
        order.status = UNACKNOWLEDGED
    order.order_id, order.client_id = report.order_id, report.client_id
    order.perm_id = order.progress.perm_id or None
