"""What the owner of an account wants of a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from rebalancer.model import FeeSchedule
from rebalancer.money import HALF, ZERO


@dataclass(frozen=True, slots=True)
class PlanningRules:
    """How to turn weights into orders.

    Attributes:
        reserve_fraction: part of equity that stays cash, 0-1.
        share_threshold: shares; only a larger distance from the target is traded.
        drift_band: absolute weight; only names whose drift exceeds it are traded.
        price_margin: fraction added to the ask when sizing buys.
        minimum_weight_sum: weights that sum to less are refused.
    """

    reserve_fraction: Decimal
    share_threshold: Decimal = HALF
    drift_band: Decimal = ZERO
    fees: FeeSchedule = field(default_factory=FeeSchedule)
    price_margin: Decimal = ZERO
    minimum_weight_sum: Decimal = Decimal("0.99")
