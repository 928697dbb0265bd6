"""What a plan does, as figures that two plans are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from rebalancer.domain.currencies import USD
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Plan, ProposedOrder, Quote
from rebalancer.domain.units import NO_RATIO, NO_USD, Ratio, Usd
from rebalancer.planning.checks import exact_arithmetic
from rebalancer.planning.conversion import Exchange


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one plan, or of several together.

    Attributes:
        orders: those for currencies, too, as in all that follows.
        turnover: USD sold and bought.
        spread: USD that the orders' prices are worse than mid.
        commission: USD, estimated.
        drift_found: share of investable equity that was in the wrong security, summed over plans.
        drift_left: likewise with all orders filled.
    """

    plans: int = 0
    orders: int = 0
    turnover: Usd = NO_USD
    spread: Usd = NO_USD
    commission: Usd = NO_USD
    drift_found: Ratio = NO_RATIO
    drift_left: Ratio = NO_RATIO

    @classmethod
    def of(cls, plan: Plan, quotes: Mapping[str, Quote]) -> Self:
        """Of a plan at the quotes that it was made from."""
        with exact_arithmetic():
            worse = (order.quantity * abs(order.price - quotes[order.symbol].mid) for order in plan.orders)
            left = (line.planned_weight - line.target_weight for line in plan.lines)
            return cls(
                plans=1,
                orders=len(plan.orders),
                turnover=Usd(sum((order.notional for order in plan.orders), ZERO)),
                spread=Usd(sum(worse, ZERO)),
                commission=plan.fees,
                drift_found=Ratio(sum((abs(line.drift) for line in plan.lines), ZERO) / 2),
                drift_left=Ratio(sum((abs(drift) for drift in left), ZERO) / 2),
            )

    @classmethod
    def of_exchange(cls, order: ProposedOrder, exchange: Exchange) -> Self:
        """What an order for currencies adds to its plan's."""
        with exact_arithmetic():
            dollars, mid = exchange.dollars(order), exchange.quote.mid
            worse = abs(order.price - mid) / (mid if exchange.pair.first == USD else order.price)
            return cls(orders=1, turnover=dollars, spread=Usd(dollars * worse), commission=order.fee)

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """All of them together."""
        found = list(parts)
        nothing, sums = cls(), dict[str, Any]()
        for one in fields(cls):
            sums[one.name] = sum((getattr(part, one.name) for part in found), getattr(nothing, one.name))
        return cls(**sums)

    @property
    def cost(self) -> Usd:
        """USD."""
        return Usd(self.spread + self.commission)

    @property
    def mean_drift_found(self) -> Ratio | None:
        """``None`` without a plan."""
        return Ratio(self.drift_found / self.plans) if self.plans else None

    @property
    def mean_drift_left(self) -> Ratio | None:
        """``None`` without a plan."""
        return Ratio(self.drift_left / self.plans) if self.plans else None
