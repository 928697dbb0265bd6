"""One stock of a plan, and what its target asks of it at a given investable equity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from rebalancer.domain.money import ONE, ZERO, floor_shares, nearest_shares
from rebalancer.domain.portfolio import FeeSchedule, Quote, TargetWeight
from rebalancer.domain.units import NO_RATIO, NO_SHARES, Ratio, Shares, Usd
from rebalancer.planning.rules import PlanningRules
from rebalancer.planning.whole_shares import Want, outlay

SHARE_QUANTUM = Decimal("1e-12")
"""Target shares are rounded up to it: ``target <= n`` then holds for the same equities as before rounding."""


@dataclass(frozen=True, slots=True)
class Stock:
    """A symbol that is held or targeted.

    Attributes:
        held: shares, signed, perhaps fractional.
        weight: target, 0 if it is only held.
        buy_price: ask including the margin.
        lot: shares; the quantity of every order is a multiple of it.
    """

    symbol: str
    held: Shares
    weight: Ratio
    mid: Decimal
    sell_price: Decimal
    buy_price: Decimal
    lot: int = 1

    @property
    def value(self) -> Usd:
        """What it is worth at mid."""
        return Usd(self.held * self.mid)

    def target_shares(self, investable: Usd) -> Shares:
        """Shares that the weight asks for."""
        return Shares((self.weight * investable / self.mid).quantize(SHARE_QUANTUM, ROUND_CEILING))

    def full_trade(self, investable: Usd, rules: PlanningRules) -> int:
        """Signed whole lots to the nearest reachable holding; a half is left alone, and so are short positions."""
        if self.held < 0:
            return 0
        distance = self.target_shares(investable) - self.held
        shares = nearest_shares(abs(distance), self.lot)
        return rules.allowed(shares if distance > 0 else -min(shares, floor_shares(self.held, self.lot)))

    def wanted_trade(self, investable: Usd, rules: PlanningRules) -> int:
        """The full trade, if the drift exceeds both the threshold and the band."""
        if self.within_threshold(investable, rules) or self.within_band(investable, rules):
            return 0
        return self.full_trade(investable, rules)

    def within_threshold(self, investable: Usd, rules: PlanningRules) -> bool:
        """Whether the distance is too few shares to trade."""
        return abs(self.target_shares(investable) - self.held) <= rules.share_threshold

    def within_band(self, investable: Usd, rules: PlanningRules) -> bool:
        """Whether the drift is too little weight to trade."""
        return abs(self.value - self.weight * investable) <= rules.band(self.weight) * investable

    def cost(self, trade: int, fees: FeeSchedule) -> Usd:
        """USD of equity that a signed trade costs: its distance from mid and its fee."""
        price = self.buy_price if trade > 0 else self.sell_price
        return Usd(abs(trade) * abs(price - self.mid) + fees.estimate(abs(trade), price))

    def first_outlay(self, rules: PlanningRules) -> Usd:
        """Cash that the smallest buy uses up, USD."""
        want = Want(self.symbol, shortfall=Shares(Decimal(self.lot)), value=self.mid, price=self.buy_price)
        return outlay(self.lot, want, rules.fees, rules.reserve_fraction)

    def highest_quiet_equity(self, rules: PlanningRules) -> Usd | None:
        """Highest equity at which no buy is wanted; ``None`` if there is no such limit."""
        band = rules.band(self.weight)
        if self.held < 0 or self.weight <= band or rules.reserve_fraction == ONE or not rules.allowed(1):
            return None
        quiet = (self.held + rules.threshold(self.lot)).quantize(SHARE_QUANTUM, ROUND_FLOOR)
        investable = max(quiet * self.mid / self.weight, self.value / (self.weight - band))
        return Usd((investable + rules.reserve_amount) / (ONE - rules.reserve_fraction) - rules.parked)


def stocks_of(
    held: Mapping[str, Shares],
    weights: Sequence[TargetWeight],
    quotes: Mapping[str, Quote],
    rules: PlanningRules,
    lots: Mapping[str, int],
) -> tuple[Stock, ...]:
    """Every held or targeted symbol, sorted. Quotes are complete. Weights that sum to more than 1 are scaled down."""
    total = max(ONE, sum((entry.weight for entry in weights), ZERO))
    targets = {entry.symbol: Ratio(entry.weight / total) for entry in weights if entry.weight > 0}
    return tuple(
        Stock(
            symbol=symbol,
            held=held.get(symbol, NO_SHARES),
            weight=targets.get(symbol, NO_RATIO),
            mid=quotes[symbol].mid,
            sell_price=quotes[symbol].bid,
            buy_price=quotes[symbol].ask * (ONE + rules.price_margin),
            lot=lots.get(symbol, 1),
        )
        for symbol in sorted(held.keys() | targets.keys())
    )
