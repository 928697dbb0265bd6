"""The commands that look, and the one that cancels."""

from __future__ import annotations

from typing import Any

from rebalancer.domain.money import optional_text
from rebalancer.domain.orders import OpenOrder
from rebalancer.usecases.context import Result, RunContext
from rebalancer.usecases.reconciliation import clear_table


def print_positions(desk: RunContext) -> Result:
    """Every position of the account as the broker reports it."""
    snapshot = desk.broker.snapshot(desk.account.account_id)
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
    return _result(desk, positions=positions)


def print_equity(desk: RunContext) -> Result:
    """Net liquidation and cash in USD."""
    snapshot = desk.broker.snapshot(desk.account.account_id)
    return _result(
        desk,
        net_liquidation=str(snapshot.net_liquidation),
        cash=str(snapshot.cash),
        settled_cash=optional_text(snapshot.settled_cash),
        available_funds=optional_text(snapshot.available_funds),
        previous_equity=optional_text(snapshot.previous_equity),
    )


def print_orders(desk: RunContext) -> Result:
    """Every order of the account that may still fill, whoever placed it."""
    return _result(desk, orders=[order_record(order) for order in desk.broker.open_orders(desk.account.account_id)])


def cancel_orders(desk: RunContext) -> Result:
    """Cancel them all and verify that none is left."""
    return _result(desk, cancelled_orders=[order_record(order) for order in clear_table(desk)])


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


def _result(desk: RunContext, **facts: object) -> Result:
    return {"account_id": desk.account.account_id, "status": "success", **facts}
