"""What a gateway has seen and holds, as JSON-ready values for the control port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.gateway.exchange_accounts import Valuation
from sandbox.gateway.exchange_events import Execution, Order, Split
from sandbox.gateway.server import Gateway
from sandbox.gateway.session import ConnectionRecord
from sandbox.gateway.windows import Swallowed


def state(gateway: Gateway) -> dict[str, Any]:
    """Accounts, orders, executions, connections and message counts; amounts are decimal strings."""
    exchange = gateway.exchange
    return {
        "now": exchange.clock().isoformat(),
        "accounts": {key: _account(exchange.valuation(key)) for key in exchange.book.accounts},
        "orders": [_order(order) for order in gateway.orders],
        "executions": [_execution(execution) for execution in gateway.executions],
        "splits": [_split(split) for split in exchange.book.splits],
        "windows": [_swallowed(order) for order in exchange.windows.waiting],
        "client_ids": gateway.client_ids,
        "connections": [_connection(record) for record in gateway.connections],
        "message_counts": _texts(gateway.message_counts),
    }


def _account(valuation: Valuation) -> dict[str, Any]:
    account = valuation.state
    return {
        "type": account.type,
        "cash": str(account.cash),
        "settled_cash": str(account.settled),
        "other_cash": {key: str(amount) for key, amount in account.other_cash.items()},
        "net_liquidation": str(valuation.net_liquidation),
        "positions": {key: str(held.quantity) for key, held in account.holdings.items() if held.quantity},
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "client_id": order.client_id,
        "order_id": order.order_id,
        "perm_id": order.perm_id,
        "order_ref": order.ticket.order_ref,
        "account": order.account,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": str(order.ticket.quantity),
        "order_type": order.ticket.order_type,
        "limit_price": None if order.ticket.limit_price is None else str(order.ticket.limit_price),
        "algorithm": [order.ticket.algo_strategy, *order.ticket.algo_params] if order.ticket.algo_strategy else None,
        "time_in_force": order.ticket.time_in_force,
        "status": order.status,
        "filled": str(order.filled),
        "placed_at": order.placed_at.isoformat(),
        "ended_at": order.ended_at.isoformat() if order.ended_at else None,
        "end_text": order.end_text,
    }


def _execution(execution: Execution) -> dict[str, Any]:
    order = execution.order
    return {
        "execution_id": execution.execution_id,
        "order_ref": order.ticket.order_ref,
        "client_id": order.client_id,
        "perm_id": order.perm_id,
        "account": order.account,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": str(execution.quantity),
        "price": str(execution.price),
        "commission": str(execution.commission),
        "at": execution.at.isoformat(),
    }


def _split(split: Split) -> dict[str, Any]:
    return {
        "symbol": split.symbol,
        "ratio": str(split.ratio),
        "announced_at": split.announced_at.isoformat(),
        "booked_at": split.booked_at.isoformat() if split.booked_at else None,
        "close_at": split.close_at.isoformat() if split.close_at else None,
    }


def _swallowed(order: Swallowed) -> dict[str, Any]:
    return {
        "client_id": order.client_id,
        "order_id": order.order_id,
        "order_ref": order.ticket.order_ref,
        "account": order.ticket.account,
        "symbol": order.ticket.contract.symbol,
    }


def _connection(record: ConnectionRecord) -> dict[str, Any]:
    return {
        "client_id": record.client_id,
        "version": record.version,
        "opened_at": record.opened_at.isoformat(),
        "closed_at": record.closed_at.isoformat() if record.closed_at else None,
        "refused": record.refused,
        "received": _texts(record.received),
    }


def _texts(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(key): number for key, number in sorted(counts.items())}
