"""The equity that targets are measured with: what is left after the costs of the plan itself.

Measured with today's equity E, a plan undoes itself: its costs lower equity and every target with it, and a share that
was just worth buying is next time just worth selling. So a *level* e <= E is looked for such that

    cost(trades wanted at e)  <=  E - e  <=  cost(all trades at e, however small) + slack,

slack = what two steps of one lot (of almost all names, a share) in every name cost. E less the costs of the trades
wanted at E is a first guess, E less the costs there the next, until they agree. Where rounding makes them alternate for
ever, the lowest of the cycle serves: the costs of its neighbours differ by a few lots at most.

Why planning again after all fills proposes nothing: at the same e, what was wanted is done or not affordable (a second
order pays at least the fee that it would have added to the first), so nothing is wanted at e. The fills cost at most
E - e, and lower the right side by no more than they cost; so e still satisfies both sides. And a plan proposes nothing
if nothing is wanted and affordable at *any* level of that range, of which the highest is easily found: a lower one only
removes buys and adds sells. (The slack grows by one step there, for rounding between the two levels. Limits: a cycle
caused by a drift band whose orders cost more than that slack, quotes whose bid is a few percent of the ask.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ZERO
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import NO_USD, Usd
from rebalancer.planning.holdings import Stock
from rebalancer.planning.rules import PlanningRules

GRID = Decimal("1e-8")
"""USD. All levels are multiples of it, so that products with them stay exact."""
MOST_STEPS = 32


@dataclass(frozen=True, slots=True)
class SizingInputs:
    """What a level depends on.

    Attributes:
        free_cash: what buys may use up when nothing is sold.
    """

    stocks: Sequence[Stock]
    equity: Usd
    free_cash: Usd
    rules: PlanningRules

    def investable(self, level: Usd) -> Usd:
        """Part of a level that is not reserve."""
        return max(NO_USD, Usd(level - self.rules.reserve(level)))

    def wanted_cost(self, level: Usd) -> Usd:
        """USD that all wanted trades cost, were there cash for all."""
        investable = self.investable(level)
        return self._cost(lambda stock: stock.wanted_trade(investable, self.rules))

    def full_cost(self, level: Usd) -> Usd:
        """USD that it costs to bring every name to its nearest whole lot."""
        investable = self.investable(level)
        return self._cost(lambda stock: stock.full_trade(investable, self.rules))

    def step_cost(self) -> Usd:
        """USD that one lot more or less of every targeted name can cost."""
        fees = self.rules.fees
        moving = (stock for stock in self.stocks if stock.weight > 0)
        return Usd(sum((max(stock.cost(stock.lot, fees), stock.cost(-stock.lot, fees)) for stock in moving), ZERO))

    def _cost(self, trade: Callable[[Stock], int]) -> Usd:
        trades = ((stock, trade(stock)) for stock in self.stocks)
        return Usd(sum((stock.cost(shares, self.rules.fees) for stock, shares in trades if shares), ZERO))


def solve_investable_base(inputs: SizingInputs) -> Usd:
    """Find the level of a plan.

    Raises:
        Refused: ``costs_exceed_equity``.
    """
    quiet = _highest_quiet(inputs)
    if quiet is not None and inputs.equity - quiet <= inputs.full_cost(quiet) + 3 * inputs.step_cost() + GRID:
        return quiet
    return _after_costs(inputs)


def _on_grid(level: Decimal) -> Usd:
    return Usd(level.quantize(GRID, ROUND_FLOOR))


def _highest_quiet(inputs: SizingInputs) -> Usd | None:
    """Highest level at which nothing is both wanted and affordable."""
    level = _on_grid(inputs.equity)
    for stock in inputs.stocks:
        limit = stock.highest_quiet_equity(inputs.rules)
        if limit is not None and stock.first_outlay(inputs.rules) <= inputs.free_cash:
            level = min(level, _on_grid(limit))
    if level <= -inputs.rules.parked:
        return None
    sells = any(stock.wanted_trade(inputs.investable(level), inputs.rules) < 0 for stock in inputs.stocks)
    return None if sells else level


def _after_costs(inputs: SizingInputs) -> Usd:
    """Level whose wanted trades cost what it lacks to equity; of alternating levels the lowest."""
    seen: list[Usd] = []
    level = _on_grid(inputs.equity)
    while level not in seen and len(seen) < MOST_STEPS:
        seen.append(level)
        level = _on_grid(inputs.equity - inputs.wanted_cost(level))
        if level <= 0:
            reason = f"trading would cost more than the equity of {inputs.equity} USD"
            raise Refused(Rule.COSTS_EXCEED_EQUITY, reason, {"equity": str(inputs.equity)})
    return min(seen[seen.index(level) :] if level in seen else seen[-2:])
