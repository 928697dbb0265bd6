"""One task per command; the argument is the event's id."""

from __future__ import annotations

from rebalancer import usecases
from rebalancer.commands import Command
from tasks.app import app
from tasks.base import EventTask, execute


@app.task(base=EventTask, name=Command.REBALANCE)
def rebalance(event_id: str) -> str:
    """Bring the account to its targets: the only task that places orders."""
    return execute(event_id, usecases.rebalance)


@app.task(base=EventTask, name=Command.PRINT_REBALANCE)
def print_rebalance(event_id: str) -> str:
    """Dry run of the same plan."""
    return execute(event_id, usecases.print_rebalance)


@app.task(base=EventTask, name=Command.PRINT_POSITIONS)
def print_positions(event_id: str) -> str:
    """Record the account's positions."""
    return execute(event_id, usecases.print_positions)


@app.task(base=EventTask, name=Command.PRINT_EQUITY)
def print_equity(event_id: str) -> str:
    """Record the account's equity and cash."""
    return execute(event_id, usecases.print_equity)


@app.task(base=EventTask, name=Command.PRINT_ORDERS)
def print_orders(event_id: str) -> str:
    """Record the account's open orders."""
    return execute(event_id, usecases.print_orders)


@app.task(base=EventTask, name=Command.CANCEL_ORDERS)
def cancel_orders(event_id: str) -> str:
    """Cancel the account's open orders and verify that they are gone."""
    return execute(event_id, usecases.cancel_orders)
