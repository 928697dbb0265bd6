"""Twenty years of daily prices that never were, and an account that was traded through them by the planner.

What happened is kept twice: as looks, as the ledger has them, and as plain numbers, for who calculates by himself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import AccountSnapshot, Plan, Position, Quote, Side, TargetWeight
from rebalancer.planning import PlanningRules, plan
from rebalancer.returns.looks import Apart, Look, Trade

BEGIN = datetime(2006, 1, 2, 15, 0, tzinfo=UTC)
DAYS = 5040
NAMES = ("GLD", "IWM", "QQQ", "SPY", "TLT")
REPLACED = {"QQQ": "QQQM"}
OWN = Decimal(40)
"""Shares of the owner's own, of which nobody asks a quote."""
RULES = PlanningRules(Decimal("0.02"))


@dataclass
class Day:
    """Plain numbers of a day.

    Attributes:
        mids: USD by symbol.
        equity: with what came.
        published / wanted: newest targets that anybody had seen by then.
        new: they are new that day.
        plan: of the run that day, if there was one.
        after: shares when the day's run had ended.
        slippage / commission: USD that the run's fills cost.
    """

    mids: dict[str, Decimal]
    flow: Decimal
    equity: Decimal
    own: Decimal
    published: dict[str, Decimal]
    wanted: dict[str, Decimal]
    new: bool
    plan: Plan
    runs: bool
    after: dict[str, Decimal]
    slippage: Decimal
    commission: Decimal


@dataclass
class Life:
    """The account.

    Attributes:
        dividends: USD that come every ninetieth day, of which no record says anything.
        lag: days from new targets to the run that trades them.
    """

    seed: int = 1
    days: int = DAYS
    lag: int = 2
    dividends: Decimal = ZERO
    cash: Decimal = Decimal(250_000)
    held: dict[str, Decimal] = field(default_factory=dict)
    past: list[Day] = field(default_factory=list)

    def looks(self) -> list[Look]:
        """A look a day; most are previews."""
        return list(self._live())

    def _live(self) -> Iterator[Look]:
        chance = random.Random(self.seed)
        prices = {name: chance.uniform(40, 400) for name in (*NAMES, "OWN")}
        published: dict[str, Decimal] = {}
        for number in range(self.days):
            at = BEGIN + timedelta(days=number * 365.25 / 252)
            for name in prices:
                prices[name] *= 1 + chance.gauss(0.0003, 0.011)
            mids = {name: Decimal(f"{price:.2f}") for name, price in prices.items()}
            mids["QQQM"] = Decimal(f"{prices['QQQ'] * (0.4 + 0.00001 * number):.2f}")
            flow = Decimal(chance.choice([-3_000, 5_000, 12_000])) if number and chance.random() < 0.01 else ZERO
            self.cash += flow + (self.dividends if number % 90 == 89 else ZERO)
            new = number % 21 == 0
            published = _targets(chance) if new else published
            runs = number % 21 in (self.lag, 12) or number == 0
            yield self._day(at, mids, flow, published, new=new, runs=runs)

    def _day(
        self,
        at: datetime,
        mids: dict[str, Decimal],
        flow: Decimal,
        published: dict[str, Decimal],
        *,
        new: bool,
        runs: bool,
    ) -> Look:
        own = OWN * mids.pop("OWN")
        before, value = dict(self.held), sum((count * mids[name] for name, count in self.held.items()), ZERO)
        equity = self.cash + value + own
        wanted = {REPLACED.get(name, name): weight for name, weight in published.items()}
        made = self._plan(at, mids, self.cash + value, wanted)
        trades = tuple(_filled(made, mids)) if runs else None
        for trade in trades or ():
            self.held[trade.symbol] = self.held.get(trade.symbol, ZERO) + trade.shares
            self.cash -= trade.shares * trade.price + trade.commission
        slippage = sum((one.shares * (one.price - mids[one.symbol]) for one in trades or ()), ZERO)
        commission = sum((one.commission for one in trades or ()), ZERO)
        self.past.append(
            Day(mids, flow, equity, own, published, wanted, new, made, runs, dict(self.held), slippage, commission)
        )
        return Look(
            at=at,
            equity=equity,
            flow=flow,
            prices=mids,
            targets=tuple(published.items()),
            published=published,
            wanted=wanted,
            planned={line.symbol: line.target_weight for line in made.lines},
            investable=made.investable,
            shares=before,
            apart=Apart(own, {"OWN": OWN}),
            trades=trades,
        )

    def _plan(self, at: datetime, mids: dict[str, Decimal], equity: Decimal, wanted: dict[str, Decimal]) -> Plan:
        positions = tuple(Position(name, count) for name, count in self.held.items() if count)
        snapshot = AccountSnapshot("DU1", at, equity, self.cash, None, None, positions)
        weights = tuple(TargetWeight(name, weight) for name, weight in wanted.items())
        quotes = {name: Quote(name, mid - Decimal("0.02"), mid + Decimal("0.02"), at) for name, mid in mids.items()}
        return plan(snapshot, weights, quotes, RULES)


def _targets(chance: random.Random) -> dict[str, Decimal]:
    """To four digits, each set another."""
    names = sorted(chance.sample(NAMES, chance.randint(2, 4)))
    cuts = sorted(chance.sample(range(500, 9_500), len(names) - 1))
    sizes = [b - a for a, b in zip([0, *cuts], [*cuts, 10_000], strict=True)]
    return {name: Decimal(size) / 10_000 for name, size in zip(names, sizes, strict=True)}


def _filled(made: Plan, mids: dict[str, Decimal]) -> Iterator[Trade]:
    """Each order a cent worse than planned."""
    for order in made.orders:
        sign = 1 if order.side is Side.BUY else -1
        yield Trade(order.symbol, Decimal(sign * order.quantity), order.price + sign * Decimal("0.01"), order.fee)
