"""Bring an account to its target weights, or show what that would take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from rebalancer.bookkeeping import after_fills
from rebalancer.errors import OutcomeUnknown
from rebalancer.ledger.trades import OrderRecord
from rebalancer.model import Plan, ProposedOrder
from rebalancer.money import cents
from rebalancer.orders import OpenOrder
from rebalancer.planning import size_buys
from rebalancer.usecases.deciding import Decision, decide, inputs_record, plan_record, weighed_positions
from rebalancer.usecases.desk import Desk, Result
from rebalancer.usecases.reports import order_record
from rebalancer.usecases.settling import clear_table
from rebalancer.usecases.trading import Reports, trade

log = structlog.get_logger()


def print_rebalance(desk: Desk) -> Result:
    """Dry run: the same plan as live, nothing sent, nothing cancelled."""
    decision = decide(desk)
    _record(desk, decision)
    return _result(desk, decision.plan, "dry_run", orders=[_proposed(order) for order in decision.plan.orders])


def rebalance(desk: Desk) -> Result:
    """Live: clear the table, plan, sell, buy from what the sells brought, record the weights after."""
    cancelled = clear_table(desk)
    decision = decide(desk)
    _record(desk, decision)
    _trade(desk, decision)
    after = desk.broker.snapshot(desk.account.account_id) if decision.plan.orders else decision.snapshot
    desk.run.observed("after", after, weighed_positions(after, decision.quotes))
    sent = [_sent(order) for order in desk.run.orders()]
    return _result(desk, decision.plan, "live", orders=sent, cancelled=cancelled)


def _record(desk: Desk, decision: Decision) -> None:
    desk.run.decided(inputs_record(decision), plan_record(decision.plan))
    desk.run.observed("before", decision.snapshot, weighed_positions(decision.snapshot, decision.quotes))
    log.info(
        "planned",
        equity=str(decision.plan.equity),
        sells=len(decision.plan.sells),
        buys=len(decision.plan.buys),
        fees=str(cents(decision.plan.fees)),
    )


def _trade(desk: Desk, decision: Decision) -> None:
    made = decision.plan
    if not made.orders:
        return
    instruments = desk.broker.instruments(sorted({order.symbol for order in made.orders}))
    try:
        sold = trade(desk, made.sells, instruments, 1)
        buys = _buys_after(desk, decision, sold) if made.sells else made.buys
        trade(desk, buys, instruments, 1 + len(made.sells))
    except OutcomeUnknown:
        clear_table(desk)
        raise


def _buys_after(desk: Desk, decision: Decision, sold: Reports) -> tuple[ProposedOrder, ...]:
    """Buys sized from what the sells really brought, at fresh quotes."""
    now = after_fills(decision.snapshot, sold.fills.values(), sold.commissions, desk.rules.fees.minimum)
    quotes = desk.broker.quotes(sorted(decision.quotes))
    return size_buys(decision.plan, now, quotes, desk.rules)


def _result(
    desk: Desk,
    made: Plan,
    mode: Literal["dry_run", "live"],
    *,
    orders: list[dict[str, Any]],
    cancelled: tuple[OpenOrder, ...] = (),
) -> Result:
    """The result object of the public contract; amounts as decimal text."""
    return {
        "account_id": desk.account.account_id,
        "execution_mode": mode,
        "equity_info": {
            "total_equity": str(made.equity),
            "reserve_percentage": str(desk.account.cash_reserve_percent),
            "reserve_amount": str(cents(made.reserve)),
            "available_for_trading": str(cents(made.investable)),
        },
        "orders": orders,
        "cancelled_orders": [order_record(order) for order in cancelled],
        "notes": list(made.notes),
        "status": "success",
        "message": f"{'Dry run' if mode == 'dry_run' else 'Live'} rebalancing completed successfully",
        "timestamp": datetime.now(UTC).isoformat(),
    }


def _proposed(order: ProposedOrder) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "quantity": order.quantity,
        "action": str(order.side),
        "market_value": str(cents(order.notional)),
        "price": str(order.price),
        "commission": str(cents(order.fee)),
        "reason": order.reason,
    }


def _sent(order: OrderRecord) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "quantity": order.quantity,
        "action": order.side,
        "market_value": None if order.average_price is None else str(cents(order.filled * order.average_price)),
        "price": None if order.average_price is None else str(order.average_price),
        "filled": str(order.filled),
        "commission": str(order.commission),
        "status": order.status,
        "order_ref": order.order_ref,
    }
