"""Other rules for a plan that was made already; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.units import NO_RATIO, Ratio, Shares, Usd
from rebalancer.planning.inputs import PlanInputs
from rebalancer.planning.rules import PlanningRules

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChanges:
    """What is to be other than it was; ``None`` leaves it.

    Attributes:
        reserve_fraction: of equity, in place of any reserve; ``reserve_usd`` likewise.
    """

    drift_band: Ratio | None = None
    relative_band: Ratio | None = None
    share_threshold: Shares | None = None
    price_margin: Ratio | None = None
    fee_per_share: Decimal | None = None
    fee_minimum: Usd | None = None
    fee_maximum_rate: Ratio | None = None
    reserve_fraction: Ratio | None = None
    reserve_usd: Usd | None = None

    def of(self, inputs: PlanInputs) -> PlanInputs:
        """The same inputs with the rules changed. Bands are for drift alone, as they were in the run."""
        bands = inputs.rules.kind is RebalanceMode.FULL
        before = inputs.rules
        rules = replace(
            before,
            drift_band=_or(self.drift_band if bands else None, before.drift_band),
            relative_band=_or(self.relative_band if bands else None, before.relative_band),
            share_threshold=_or(self.share_threshold, before.share_threshold),
            price_margin=_or(self.price_margin, before.price_margin),
            fees=replace(
                before.fees,
                per_share=_or(self.fee_per_share, before.fees.per_share),
                minimum=_or(self.fee_minimum, before.fees.minimum),
                maximum_rate=_or(self.fee_maximum_rate, before.fees.maximum_rate),
            ),
        )
        return replace(inputs, rules=self._reserve(rules, inputs.raised))

    def _reserve(self, rules: PlanningRules, raised: Usd) -> PlanningRules:
        if self.reserve_fraction is not None:
            return replace(rules, reserve_fraction=self.reserve_fraction, reserve_amount=raised)
        if self.reserve_usd is not None:
            amount = Usd(self.reserve_usd + raised)
            return replace(rules, reserve_fraction=NO_RATIO, reserve_amount=amount)
        return rules


def _or(new: T | None, old: T) -> T:
    return old if new is None else new
