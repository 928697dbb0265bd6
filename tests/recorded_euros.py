"""Years of an account whose cash is in another currency, which is converted for its buys, and back: kept as records."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, localcontext
from uuid import UUID

from rebalancer.domain.currencies import CurrencyPair, per_dollar
from rebalancer.domain.money import EXACT, ZERO
from rebalancer.domain.orders import Instrument, PriceStep
from rebalancer.domain.portfolio import AccountSnapshot, BaseCurrency, Position, ProposedOrder, Quote, TargetWeight
from rebalancer.domain.units import Ratio, Usd
from rebalancer.planning.conversion import Exchange, counting, may_convert
from rebalancer.planning.conversion_terms import BackTerms, ConversionTerms, plan_with_conversions
from rebalancer.planning.inputs import PlanInputs
from rebalancer.planning.recorded import plan_record, recorded_inputs
from rebalancer.planning.recorded_conversions import conversion_record, recorded_terms
from rebalancer.replay.figures import Figures
from rebalancer.replay.runs import RecordedRun
from tests.recorded_history import ACCOUNT, History, on_record

TICK = Decimal("0.00005")
PRICES = {"EUR.USD": Decimal("1.16"), "USD.CHF": Decimal("0.8")}


@dataclass
class EuroHistory(History):
    """Its dollars are what deposits and sales have brought; now and then most of it is to be cash.

    Attributes:
        foreign: of the base currency, in it.
        kept: of that, never sold.
    """

    symbol: str = "EUR.USD"
    cash: Decimal = ZERO
    foreign: Decimal = Decimal(80_000)
    kept: Decimal = Decimal(500)
    terms: list[ConversionTerms | None] = field(default_factory=list)
    exchanges: list[tuple[ProposedOrder, ...]] = field(default_factory=list)
    figures: list[Figures] = field(default_factory=list)

    @property
    def equity(self) -> Decimal:
        """With what the base currency would bring at the newest run."""
        with localcontext(EXACT):
            return super().equity + self.foreign / self._exchange().per_dollar

    def _run(self, event_id: UUID, at: datetime, weights: tuple[TargetWeight, ...]) -> RecordedRun:
        share = random.Random(event_id.int).choice([Decimal(1), Decimal(1), Decimal("0.4")])
        weights = tuple(replace(one, weight=Ratio(one.weight * share)) for one in weights)
        terms, snapshot = self._told(at)
        inputs = PlanInputs(snapshot, weights, self.quotes, self.rules, {}, self.reserve_symbol)
        made = plan_with_conversions(inputs, terms)
        exchange = self._exchange()
        converted = {} if terms is None else {"conversion": conversion_record(exchange, made.conversion, made.back)}
        with localcontext(EXACT):
            self._fill(made.plan.orders, made.exchanges)
        self.plans.append(made.plan)
        self.terms.append(terms)
        self.exchanges.append(made.exchanges)
        exchanged = (Figures.of_exchange(order, exchange) for order in made.exchanges)
        self.figures.append(Figures.total([Figures.of(made.plan, self.quotes), *exchanged]))
        record = on_record(inputs, terms)
        plan = json.loads(json.dumps(plan_record(made.plan) | converted))
        read = recorded_inputs(record, ACCOUNT)
        return RecordedRun(ACCOUNT, event_id, at, read, plan, carried_out=True, terms=recorded_terms(record))

    def _told(self, at: datetime) -> tuple[ConversionTerms | None, AccountSnapshot]:
        positions = tuple(Position(symbol, count) for symbol, count in sorted(self.held.items()) if count)
        exchange = self._exchange()
        with localcontext(EXACT):
            told = AccountSnapshot(ACCOUNT, at, super().equity, self.cash, None, None, positions, base=exchange.base)
            if not may_convert(exchange.base, self.kept, back=True):
                return None, told
            counted = counting(told, exchange)
            counted = replace(counted, net_liquidation=Usd(told.net_liquidation + exchange.counted))
        return ConversionTerms(exchange, Usd(self.cash), BackTerms(Usd(self.cash), proceeds_pay=True)), counted

    def _exchange(self) -> Exchange:
        """At a price of its own every month."""
        months = random.Random(self.seed * 1_000 + len(self.deposits))
        bid = PRICES[self.symbol] + months.randint(-400, 400) * TICK
        quote = Quote(self.symbol, bid, bid + TICK, next(iter(self.quotes.values())).at)
        pair = CurrencyPair.read(self.symbol)
        assert pair is not None
        base = BaseCurrency(pair.foreign, per_dollar(pair, bid), self.foreign)
        steps = (PriceStep(ZERO, TICK),)
        known = Instrument(self.symbol, 0, "", TICK, "", "", "", steps, security_type="CASH")
        return Exchange(base, known, quote, self.kept, Ratio(Decimal("0.0005")))

    def _fill(self, orders: tuple[ProposedOrder, ...], exchanges: tuple[ProposedOrder, ...]) -> None:
        for order in orders:
            signed = order.side.sign * order.quantity
            self.held[order.symbol] = self.held.get(order.symbol, ZERO) + signed
            self.cash -= signed * order.price + order.fee
        exchange = self._exchange()
        for order in exchanges:
            usd, foreign = exchange.pair.changes(order.side, Decimal(order.quantity), order.price)
            self.cash += usd
            self.foreign += foreign - order.fee * exchange.per_dollar
