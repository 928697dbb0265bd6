"""The commands that look, and the one that cancels."""

from __future__ import annotations

from typing import Any

from rebalancer.domain.money import optional_text
from rebalancer.domain.orders import OpenOrder
from rebalancer.domain.portfolio import AccountSnapshot
from rebalancer.usecases.context import Result, RunContext
from rebalancer.usecases.reconciliation import cancel_and_reconcile


def print_positions(context: RunContext) -> Result:
    """Every position of the account as the broker reports it."""
    snapshot = context.broker.snapshot(context.account.account_id)
    positions = [
        {
            "symbol": position.symbol,
            "quantity": str(position.quantity),
            "average_cost": str(position.average_cost),
            "security_type": position.security_type,
            "currency": position.currency,
        }
        for position in sorted(snapshot.positions, key=lambda position: position.symbol)
    ]
    return _result(context, positions=positions)


def print_equity(context: RunContext) -> Result:
    """Net liquidation and cash in USD, and the base currency where it is another."""
    snapshot = context.broker.snapshot(context.account.account_id)
    return _result(
        context,
        net_liquidation=str(snapshot.net_liquidation),
        cash=str(snapshot.cash),
        settled_cash=optional_text(snapshot.settled_cash),
        available_funds=optional_text(snapshot.available_funds),
        previous_equity=optional_text(snapshot.previous_equity),
        **base_record(snapshot),
    )


def print_orders(context: RunContext) -> Result:
    """Every order of the account that may still fill, whoever placed it."""
    return _result(
        context, orders=[order_record(order) for order in context.broker.open_orders(context.account.account_id)]
    )


def cancel_orders(context: RunContext) -> Result:
    """Cancel them all and verify that none is left."""
    return _result(context, cancelled_orders=[order_record(order) for order in cancel_and_reconcile(context)])


def base_record(snapshot: AccountSnapshot) -> dict[str, dict[str, str]]:
    """The base currency and the equity in it; nothing of an account in dollars."""
    return {"base": snapshot.base.told(snapshot.net_liquidation)} if snapshot.base else {}


def order_record(order: OpenOrder) -> dict[str, Any]:
    """An open order as results show it."""
    return {
        "order_id": str(order.order_id),
        "symbol": order.symbol,
        "quantity": str(order.quantity),
        "filled": str(order.filled),
        "action": str(order.side),
        "order_type": order.order_type,
        "status": str(order.status),
        "client_id": order.client_id,
        "order_ref": order.order_ref,
    }


def _result(context: RunContext, **facts: object) -> Result:
    return {"account_id": context.account.account_id, "status": "success", **facts}
