"""What a key of the API may do. Pure."""

from __future__ import annotations

from enum import StrEnum

from rebalancer.domain.commands import Command


class Scope(StrEnum):
    """One kind of doing; none implies another, but whoever may do anything may read."""

    READ = "read"
    """See accounts, amounts, events and the record of changes."""
    OPERATE = "operate"
    """Halt, end events, ask for dry runs and reports: nothing that can send or cancel an order."""
    APPROVE = "approve"
    """Decide on plans that wait."""
    TRADE = "trade"
    """Rebalance, cancel orders, resume, retry, schedule a rebalance: whatever lets orders go."""


EVERYTHING = frozenset(Scope)


def with_reading(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """The scopes, and reading."""
    return scopes | {Scope.READ}


def needed_for(command: Command) -> Scope:
    """What a request for a command needs."""
    return Scope.TRADE if command.touches_orders else Scope.OPERATE
