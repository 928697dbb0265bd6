"""Accounts, quotes and rules for planning, biased towards ties, fractions, costs and short cash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from functools import cache

from hypothesis import strategies as st

from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.portfolio import (
    AccountSnapshot,
    FeeSchedule,
    Plan,
    Position,
    ProposedOrder,
    Quote,
    Side,
    TargetWeight,
)
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.planning import PlanningRules, plan

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
NO_FEES = FeeSchedule(ZERO, ZERO, ZERO)
FLAT_FEES = FeeSchedule(ZERO, Decimal(5), Decimal(1000))
HIGH_FEES = FeeSchedule(Decimal("0.35"), Decimal("1.3"), Decimal("0.05"))


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a plan is made from."""

    snapshot: AccountSnapshot
    weights: tuple[TargetWeight, ...]
    quotes: Mapping[str, Quote]
    rules: PlanningRules
    lots: Mapping[str, int] = field(default_factory=dict)

    def plan(self) -> Plan:
        return plan(self.snapshot, self.weights, self.quotes, self.rules, self.lots)

    def held(self, symbol: str) -> Decimal:
        return sum((entry.quantity for entry in self.snapshot.positions if entry.symbol == symbol), ZERO)

    def after(self, orders: Iterable[ProposedOrder]) -> World:
        """The world after all orders filled at their prices and fees; nothing else moved."""
        held = {entry.symbol: entry.quantity for entry in self.snapshot.positions}
        cash, equity = self.snapshot.cash, self.snapshot.net_liquidation
        for order in orders:
            sign = 1 if order.side is Side.BUY else -1
            held[order.symbol] = held.get(order.symbol, ZERO) + sign * order.quantity
            cash -= sign * order.notional + order.fee
            equity -= order.quantity * abs(order.price - self.quotes[order.symbol].mid) + order.fee
        positions = tuple(Position(symbol, quantity) for symbol, quantity in held.items())
        return replace(self, snapshot=replace(self.snapshot, net_liquidation=equity, cash=cash, positions=positions))


def decimals(low: str, high: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=places, allow_nan=False, allow_infinity=False)


PRICES = st.one_of(
    st.sampled_from([Decimal(1), Decimal(10), Decimal("99.99"), Decimal(100)]), decimals("0.5", "900", 2)
)
RULES = st.builds(
    PlanningRules,
    reserve_fraction=st.sampled_from([ZERO, ZERO, Decimal("0.01"), Decimal("0.1"), Decimal("0.333"), ONE]),
    share_threshold=st.sampled_from([Decimal("0.5"), Decimal("0.5"), ZERO, Decimal("0.3"), Decimal("0.8"), Decimal(3)]),
    drift_band=st.sampled_from([ZERO, ZERO, Decimal("0.005"), Decimal("0.05")]),
    fees=st.sampled_from([FeeSchedule(), FeeSchedule(), NO_FEES, FLAT_FEES, HIGH_FEES]),
    price_margin=st.sampled_from([ZERO, ZERO, Decimal("0.005"), Decimal("0.02")]),
    minimum_weight_sum=st.just(Decimal("0.2")),
    relative_band=st.sampled_from([ZERO, ZERO, Decimal("0.05"), Decimal("0.25")]),
    reserve_amount=st.sampled_from([ZERO, ZERO, Decimal("37.5"), Decimal(1000)]),
    kind=st.sampled_from(
        [RebalanceMode.FULL, RebalanceMode.FULL, RebalanceMode.FULL, RebalanceMode.BUY_ONLY, RebalanceMode.RAISE_CASH]
    ),
)

LOTS = st.sampled_from([1, 1, 2, 5, 10, 100])

# A strategy that is made within a draw is looked through anew by each, which takes longer than the draw.
EITHER = st.booleans()
SPREADS = st.sampled_from([ZERO, Decimal("0.0002"), Decimal("0.001"), Decimal("0.03")])
PARTS = st.integers(0, 20)
TOTALS = st.sampled_from([ONE, ONE, Decimal("1.01"), Decimal("0.995"), Decimal("0.6")])
FRACTIONS_HELD = decimals("-9", "40", 2)
CASH = st.one_of(decimals("-500", "20000", 2), decimals("-5", "400", 2))
ELSEWHERE = st.sampled_from([ZERO, ZERO, ZERO, Decimal("5000")])


@cache
def up_to(most: int) -> st.SearchStrategy[int]:
    """Of names; at least one."""
    return st.integers(1, most)


@cache
def quantities(largest: int) -> st.SearchStrategy[Decimal]:
    """Shares that are held: none, whole ones, and parts of some."""
    return st.one_of(st.just(ZERO), st.integers(1, largest).map(Decimal), FRACTIONS_HELD)


@st.composite
def quotes_of(draw: st.DrawFn, symbols: list[str]) -> dict[str, Quote]:
    same = draw(EITHER)
    first = draw(PRICES)
    quotes = {}
    for symbol in symbols:
        bid = first if same else draw(PRICES)
        spread = draw(SPREADS)
        quotes[symbol] = Quote(symbol, bid, bid + (bid * spread).quantize(Decimal("0.01")), NOW)
    return quotes


@st.composite
def weights_of(draw: st.DrawFn, symbols: list[str]) -> tuple[TargetWeight, ...]:
    parts = [1] * len(symbols) if draw(EITHER) else [draw(PARTS) for _ in symbols]
    total = draw(TOTALS)
    whole = sum(parts) or 1
    places = Decimal("1e-6")
    weights = [min(ONE, (total * part / whole).quantize(places, ROUND_FLOOR)) for part in parts]
    if sum(weights) < Decimal("0.3"):
        weights = [ONE, *([ZERO] * (len(symbols) - 1))]
    return tuple(TargetWeight(symbol, weight) for symbol, weight in zip(symbols, weights, strict=True))


@st.composite
def worlds(draw: st.DrawFn, most_names: int = 7, largest_holding: int = 60) -> World:
    symbols = [chr(ord("A") + index) for index in range(draw(up_to(most_names)))]
    targeted = symbols[: draw(up_to(len(symbols)))]
    quotes = draw(quotes_of(symbols))
    quantity = quantities(largest_holding)
    positions = tuple(Position(symbol, draw(quantity)) for symbol in symbols)
    value = sum((entry.quantity * quotes[entry.symbol].mid for entry in positions), ZERO)
    cash = draw(CASH)
    elsewhere = draw(ELSEWHERE)
    equity = max(value + cash + elsewhere, Decimal("0.01"))
    snapshot = AccountSnapshot("DU1", NOW, equity, cash, None, None, positions)
    lots = {symbol: draw(LOTS) for symbol in symbols} if draw(EITHER) else {}
    return World(snapshot, draw(weights_of(targeted)), quotes, draw(RULES), lots)
