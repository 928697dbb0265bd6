"""What the owner of an account wants of a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from rebalancer.domain.money import HALF, ZERO
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.domain.rebalance_kinds import RebalanceMode


@dataclass(frozen=True, slots=True)
class PlanningRules:
    """How to turn weights into orders.

    Attributes:
        reserve_fraction: part of equity that stays cash, 0-1.
        share_threshold: shares; only a larger distance from the target is traded.
        drift_band: absolute weight; only names whose drift exceeds it are traded.
        price_margin: fraction added to the ask when sizing buys.
        minimum_weight_sum: weights that sum to less are refused.
        relative_band: fraction of the target weight; like ``drift_band``, the tighter of the two counts, 0 = not set.
        reserve_amount: USD that stay cash besides the fraction.
    """

    reserve_fraction: Decimal
    share_threshold: Decimal = HALF
    drift_band: Decimal = ZERO
    fees: FeeSchedule = field(default_factory=FeeSchedule)
    price_margin: Decimal = ZERO
    minimum_weight_sum: Decimal = Decimal("0.99")
    relative_band: Decimal = ZERO
    reserve_amount: Decimal = ZERO
    kind: RebalanceMode = RebalanceMode.FULL

    def band(self, weight: Decimal) -> Decimal:
        """Drift up to which a name of that target weight is left alone; what left the strategy has no band."""
        if not weight:
            return ZERO
        if not self.relative_band:
            return self.drift_band
        relative = self.relative_band * weight
        return min(self.drift_band, relative) if self.drift_band else relative

    def threshold(self, lot: int) -> Decimal:
        """Shares; only a larger distance from the target is traded, and never less than half a lot."""
        return max(self.share_threshold, HALF * lot)

    def reserve(self, equity: Decimal) -> Decimal:
        """USD of ``equity`` that stay cash."""
        return self.reserve_fraction * equity + self.reserve_amount

    def allowed(self, trade: int) -> int:
        """A signed number of shares, or 0 where this kind of rebalance has no such order."""
        if self.kind is RebalanceMode.FULL or (trade > 0) is (self.kind is RebalanceMode.BUY_ONLY):
            return trade
        return 0
