"""What a command works with, and what it can come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from rebalancer.accounts import Account
from rebalancer.model import OrderType, Replacement, TimeInForce
from rebalancer.planning import PlanningRules
from rebalancer.ports import Broker, TargetSource
from rebalancer.runs import Run
from rebalancer.settings import Settings


@dataclass(frozen=True, slots=True)
class Blocked:
    """An expected refusal: nothing is wrong, but now is not the time.

    Attributes:
        until: when to try again; :data:`rebalancer.ledger.events.FOREVER` to wait for a person.
    """

    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class OrderPolicy:
    """How orders are sent."""

    order_type: OrderType
    time_in_force: TimeInForce
    limit_collar: Decimal
    outside_regular_hours: bool
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that one run of a command needs."""

    run: Run
    account: Account
    broker: Broker
    targets: TargetSource
    replacements: tuple[Replacement, ...]
    rules: PlanningRules
    policy: OrderPolicy

    @classmethod
    def of(
        cls,
        settings: Settings,
        run: Run,
        account: Account,
        *,
        broker: Broker,
        targets: TargetSource,
        replacements: tuple[Replacement, ...],
    ) -> Self:
        """Apply the settings to one account."""
        rules = PlanningRules(
            reserve_fraction=account.cash_reserve,
            share_threshold=settings.share_threshold,
            drift_band=settings.drift_band,
            fees=settings.fee_schedule,
            price_margin=settings.price_margin,
        )
        policy = OrderPolicy(
            settings.order_type,
            settings.time_in_force,
            settings.limit_collar,
            settings.extended_hours_enabled,
            settings.order_timeout_s,
        )
        return cls(run, account, broker, targets, replacements, rules, policy)


Result = dict[str, Any]
UseCase = Callable[[Desk], Result | Blocked]
