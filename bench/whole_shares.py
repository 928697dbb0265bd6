"""Whole shares against PyPortfolioOpt's discrete allocation by integer linear programming, on the same cash.

    pip install -e .[bench] && python bench/whole_shares.py

Tracking error is the sum over names of |value held - value wanted| as a share of the money; both minimise it.
PyPortfolioOpt knows no fees, spreads or reserve, so both get prices without spread and the cash above the reserve; the
reserve is checked in a second plan of ours with fees and spread.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
from pypfopt.discrete_allocation import DiscreteAllocation

from rebalancer.domain.portfolio import AccountSnapshot, FeeSchedule, Quote, TargetWeight
from rebalancer.planning import PlanningRules, plan

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
FREE = FeeSchedule(Decimal(0), Decimal(0), Decimal(0))
RESERVE = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Targets, prices and cash of one comparison."""

    weights: tuple[TargetWeight, ...]
    quotes: dict[str, Quote]
    cash: Decimal

    @classmethod
    def random(cls, dice: random.Random, names: int, cash: Decimal) -> Portfolio:
        """Prices between 5 and 900 USD, weights of one to 20 parts."""
        symbols = [f"S{number}" for number in range(names)]
        parts = {symbol: dice.randint(1, 20) for symbol in symbols}
        whole = sum(parts.values())
        prices = {symbol: Decimal(dice.randint(500, 90_000)) / 100 for symbol in symbols}
        weights = tuple(TargetWeight(symbol, Decimal(part) / whole) for symbol, part in parts.items())
        return cls(weights, {symbol: Quote(symbol, price, price, NOW) for symbol, price in prices.items()}, cash)

    def error(self, shares: dict[str, int]) -> Decimal:
        """Tracking error of holding these shares."""
        off = (
            abs(entry.weight * self.cash - shares.get(entry.symbol, 0) * self.quotes[entry.symbol].mid)
            for entry in self.weights
        )
        return sum(off, Decimal(0)) / self.cash

    def ours(self) -> tuple[dict[str, int], float]:
        """Our shares, and seconds."""
        started = time.perf_counter()
        made = plan(self._account(), self.weights, self.quotes, PlanningRules(Decimal(0), fees=FREE))
        return {order.symbol: order.quantity for order in made.buys}, time.perf_counter() - started

    def theirs(self) -> tuple[dict[str, int], float]:
        """PyPortfolioOpt's shares, and seconds."""
        weights = {entry.symbol: float(entry.weight) for entry in self.weights}
        prices = pd.Series({symbol: float(quote.mid) for symbol, quote in self.quotes.items()})
        started = time.perf_counter()
        shares, _ = DiscreteAllocation(weights, prices, total_portfolio_value=float(self.cash)).lp_portfolio()
        return {symbol: int(count) for symbol, count in shares.items()}, time.perf_counter() - started

    def cash_short_of_reserve(self) -> Decimal:
        """USD by which our plan with fees, spread and reserve would leave the cash below the reserve; at most 0."""
        spread = {
            symbol: replace(quote, ask=quote.bid + max(Decimal("0.01"), (quote.bid / 1000).quantize(Decimal("0.01"))))
            for symbol, quote in self.quotes.items()
        }
        made = plan(self._account(), self.weights, spread, PlanningRules(RESERVE))
        spent = sum((order.notional + order.fee for order in made.buys), Decimal(0))
        return made.reserve - (self.cash - spent)

    def _account(self) -> AccountSnapshot:
        return AccountSnapshot("DU1", NOW, self.cash, self.cash, None, None, ())


def main() -> None:
    """Compare and print the figures."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--portfolios", type=int, default=1000)
    options.add_argument("--seed", type=int, default=301)
    chosen = options.parse_args()
    dice = random.Random(chosen.seed)
    errors: list[tuple[Decimal, Decimal]] = []
    times: list[tuple[float, float]] = []
    short = Decimal(-1)
    for _ in range(chosen.portfolios):
        one = Portfolio.random(dice, dice.randint(2, 30), Decimal(dice.choice([5_000, 20_000, 100_000, 500_000])))
        (ours, our_s), (theirs, their_s) = one.ours(), one.theirs()
        errors.append((one.error(ours), one.error(theirs)))
        times.append((our_s, their_s))
        short = max(short, one.cash_short_of_reserve())
    _print(errors, times, short)
    large = Portfolio.random(dice, 500, Decimal(5_000_000))
    print(f"500 names: {large.ours()[1]:.2f} s")


def _print(errors: list[tuple[Decimal, Decimal]], times: list[tuple[float, float]], short: Decimal) -> None:
    slack = Decimal("1e-9")  # their arithmetic is in floats
    better = sum(ours < theirs - slack for ours, theirs in errors)
    worse = sum(ours > theirs + slack for ours, theirs in errors)
    print(f"{len(errors)} portfolios: better {better}, equal {len(errors) - better - worse}, worse {worse}")
    for name, column in (("ours", 0), ("PyPortfolioOpt", 1)):
        values = [float(pair[column]) for pair in errors]
        spent = [pair[column] for pair in times]
        print(
            f"{name:>15}: tracking error mean {statistics.mean(values):.6f}, median {statistics.median(values):.6f}, "
            f"largest {max(values):.6f}; "
            f"{1000 * statistics.mean(spent):.1f} ms mean, {1000 * max(spent):.0f} ms longest"
        )
    excess = max((ours - theirs for ours, theirs in errors), default=Decimal(0))
    print(f"largest excess of ours over theirs: {excess:.9f} of the money")
    print(f"cash below the reserve: {'never' if short <= 0 else f'by {short} USD'}")


if __name__ == "__main__":
    main()
