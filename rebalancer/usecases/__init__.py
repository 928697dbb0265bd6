"""The six commands, each a function of a :class:`Desk`."""

from rebalancer.usecases.desk import Blocked, Desk, OrderPolicy, Result, UseCase
from rebalancer.usecases.rebalance import print_rebalance, rebalance
from rebalancer.usecases.reports import cancel_orders, print_equity, print_orders, print_positions

__all__ = [
    "Blocked",
    "Desk",
    "OrderPolicy",
    "Result",
    "UseCase",
    "cancel_orders",
    "print_equity",
    "print_orders",
    "print_positions",
    "print_rebalance",
    "rebalance",
]
