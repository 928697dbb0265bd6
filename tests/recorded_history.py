"""Years of an account that never was: seeded prices, targets and deposits, traded by the planner, kept as records."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import AccountSnapshot, Plan, Position, Quote, Side, TargetWeight
from rebalancer.planning import PlanningRules
from rebalancer.planning.conversion_terms import ConversionTerms
from rebalancer.planning.inputs import PlanInputs, plan_of
from rebalancer.planning.recorded import PLANNER, plan_record, planner_record, recorded_inputs
from rebalancer.planning.recorded_conversions import TERMS, terms_record
from rebalancer.replay.runs import RecordedRun

SYMBOLS = ("GLD", "IWM", "QQQ", "SPY", "TLT")
BEGIN = datetime(2006, 1, 2, 15, 0, tzinfo=UTC)
ACCOUNT = "DU1000001"


@dataclass
class History:
    """An account by some rules; two of one seed see the same prices, targets and deposits.

    Attributes:
        rests: months for which targets stay.
    """

    rules: PlanningRules
    seed: int = 7
    months: int = 24
    rests: int = 1
    reserve_symbol: str | None = None
    cash: Decimal = Decimal(100_000)
    held: dict[str, Decimal] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)
    deposits: list[Decimal] = field(default_factory=list)
    quotes: dict[str, Quote] = field(default_factory=dict)

    @property
    def equity(self) -> Decimal:
        return self.cash + sum((count * self.quotes[one].mid for one, count in self.held.items()), ZERO)

    def runs(self) -> Iterator[RecordedRun]:
        """Trade month by month; each run as the ledger gives it, by way of JSON."""
        chance = random.Random(self.seed)
        targets, parts = list[str](), list[int]()
        cents = {symbol: chance.randrange(2_000, 60_000) for symbol in SYMBOLS}
        for month in range(self.months):
            at = BEGIN + timedelta(days=30 * month)
            cents = {symbol: max(100, round(now * chance.uniform(0.85, 1.18))) for symbol, now in cents.items()}
            self.quotes = {symbol: quote(symbol, now, at) for symbol, now in cents.items()}
            self.quotes["SGOV"] = quote("SGOV", 10_000 + 30 * month, at)
            if month % self.rests == 0:
                targets = chance.sample(SYMBOLS, chance.randint(2, 4))
                parts = [chance.randint(1, 9) for _ in targets]
            self.deposits.append(Decimal(chance.choice([0, 0, 0, 2_500, -1_500])))
            self.cash += self.deposits[-1]
            weights = tuple(
                TargetWeight(symbol, Decimal(part) / sum(parts)) for symbol, part in zip(targets, parts, strict=True)
            )
            yield self._run(UUID(int=month + 1), at, weights)

    def _run(self, event_id: UUID, at: datetime, weights: tuple[TargetWeight, ...]) -> RecordedRun:
        positions = tuple(Position(symbol, count) for symbol, count in sorted(self.held.items()) if count)
        snapshot = AccountSnapshot(ACCOUNT, at, self.equity, self.cash, None, None, positions)
        inputs = PlanInputs(snapshot, weights, self.quotes, self.rules, {}, self.reserve_symbol)
        made = plan_of(inputs).plan
        for order in made.orders:
            signed = order.quantity if order.side is Side.BUY else -order.quantity
            self.held[order.symbol] = self.held.get(order.symbol, ZERO) + signed
            self.cash -= signed * order.price + order.fee
        self.plans.append(made)
        record = on_record(inputs)
        plan = json.loads(json.dumps(plan_record(made)))
        return RecordedRun(ACCOUNT, event_id, at, recorded_inputs(record, ACCOUNT), plan, carried_out=True)


def quote(symbol: str, cents: int, at: datetime) -> Quote:
    """One cent wide, or a hundredth of a percent."""
    half = Decimal(max(1, cents // 20_000)) / 200
    mid = Decimal(cents) / 100
    return Quote(symbol, mid - half, mid + half, at)


def on_record(inputs: PlanInputs, terms: ConversionTerms | None = None) -> Any:
    """The inputs of a run, as far as a planner needs them, by way of JSON."""
    pair = () if terms is None else (terms.exchange.quote,)
    quotes = {
        one.symbol: {"bid": str(one.bid), "ask": str(one.ask), "at": one.at.isoformat(), "data_type": one.data_type}
        for one in (*inputs.quotes.values(), *pair)
    }
    planner = planner_record(inputs) | ({TERMS: terms_record(terms)} if terms else {})
    record = {"snapshot": {"at": inputs.snapshot.at.isoformat()}, "quotes": quotes, PLANNER: planner}
    return json.loads(json.dumps(record, sort_keys=True))
