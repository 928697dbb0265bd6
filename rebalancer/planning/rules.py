"""What the owner of an account wants of a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from rebalancer.domain.money import HALF
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.units import NO_RATIO, NO_USD, Ratio, Shares, Usd


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
        parked: USD of the reserve that are no part of the account, see :mod:`rebalancer.planning.parked_reserve`.
    """

    reserve_fraction: Ratio
    share_threshold: Shares = Shares(HALF)
    drift_band: Ratio = NO_RATIO
    fees: FeeSchedule = field(default_factory=FeeSchedule)
    price_margin: Ratio = NO_RATIO
    minimum_weight_sum: Ratio = Ratio(Decimal("0.99"))
    relative_band: Ratio = NO_RATIO
    reserve_amount: Usd = NO_USD
    kind: RebalanceMode = RebalanceMode.FULL
    parked: Usd = NO_USD

    def band(self, weight: Ratio) -> Ratio:
        """Drift up to which a name of that target weight is left alone; what left the strategy has no band."""
        if not weight:
            return NO_RATIO
        if not self.relative_band:
            return self.drift_band
        relative = Ratio(self.relative_band * weight)
        return min(self.drift_band, relative) if self.drift_band else relative

    def threshold(self, lot: int) -> Shares:
        """Shares; only a larger distance from the target is traded, and never less than half a lot."""
        return max(self.share_threshold, Shares(HALF * lot))

    def reserve(self, equity: Usd) -> Usd:
        """Part of ``equity`` that stays cash."""
        return Usd(self.reserve_fraction * (equity + self.parked) + self.reserve_amount - self.parked)

    def allowed(self, trade: int) -> int:
        """A signed number of shares, or 0 where this kind of rebalance has no such order."""
        if self.kind is RebalanceMode.FULL or (trade > 0) is (self.kind is RebalanceMode.BUY_ONLY):
            return trade
        return 0
