"""The six commands, each a function of a :class:`RunContext`."""

from collections.abc import Mapping

from rebalancer.domain.commands import Command
from rebalancer.usecases.account_reports import cancel_orders, print_equity, print_orders, print_positions
from rebalancer.usecases.context import Blocked, OrderContext, OrderPolicy, Result, RunContext, UseCase
from rebalancer.usecases.rebalance import print_rebalance, rebalance

__all__ = [
    "Blocked",
    "OrderContext",
    "OrderPolicy",
    "Result",
    "RunContext",
    "UseCase",
    "cancel_orders",
    "print_equity",
    "print_orders",
    "print_positions",
    "print_rebalance",
    "rebalance",
    "use_case_of",
]

_USE_CASES: Mapping[Command, UseCase] = {
    Command.REBALANCE: rebalance,
    Command.PRINT_REBALANCE: print_rebalance,
    Command.PRINT_POSITIONS: print_positions,
    Command.PRINT_EQUITY: print_equity,
    Command.PRINT_ORDERS: print_orders,
    Command.CANCEL_ORDERS: cancel_orders,
}


def use_case_of(command: Command) -> UseCase:
    """What a command means; the only place that says so."""
    return _USE_CASES[command]
