"""Dollars for what buys need, from cash in the account's base currency; pure.

The plan counts that cash as dollars, at the price that it would be sold for, and an order for the currencies stands
between its sells and its buys. What the reserve keeps may stay in the base currency, but for the part that parked
reserves keep in cash too (:func:`rebalancer.planning.parked_reserve.cash_part`).
Why: docs/decisions/0036-currencies-are-converted-for-buys-alone.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from rebalancer.domain.currencies import USD, CurrencyPair
from rebalancer.domain.money import ONE, ZERO, cents, floor_shares
from rebalancer.domain.order_styles import reason_and_style
from rebalancer.domain.orders import Instrument
from rebalancer.domain.portfolio import AccountSnapshot, BaseCurrency, Plan, ProposedOrder, Quote, Side
from rebalancer.domain.units import NO_USD, Ratio, Usd
from rebalancer.planning.checks import exact_arithmetic
from rebalancer.planning.inputs import PlanInputs, plan_of
from rebalancer.planning.parked_reserve import ParkedPlan, cash_part
from rebalancer.planning.purchases import short_cover

COMMISSION_RATE, LEAST_COMMISSION = Decimal("0.00002"), Usd(Decimal(2))
"""Of the dollars that are exchanged, and at least, USD; charged in the base currency (IBKR, *Spot Currencies*)."""

WORTH_IT = Usd(Decimal(200))
"""USD: below, more than a hundredth of a conversion would be its commission."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the base currency can be sold for.

    Attributes:
        base: cash in it and the broker's rate.
        instrument: the pair.
        quote: units of the pair's second currency for one of its first.
        kept: of the base currency, never sold.
        collar: how much worse than its quote an order may fill; odd lots do.
    """

    base: BaseCurrency
    instrument: Instrument
    quote: Quote
    kept: Decimal
    collar: Ratio

    @property
    def pair(self) -> CurrencyPair:
        """Of the base currency and dollars."""
        return _pair(self.instrument)

    @property
    def side(self) -> Side:
        """On which dollars are bought."""
        return Side.BUY if self.pair.first == USD else Side.SELL

    @property
    def price(self) -> Decimal:
        """At which plans count with it; where dollars are bought a step above the ask, so that a limit that the rest
        of the base currency pays for is never below it.
        """
        if self.side is Side.BUY:
            ask = self.instrument.ceil_price(self.quote.ask)
            return ask + self.instrument.step_at(ask)
        return self.quote.bid

    def limit(self, order: ProposedOrder) -> Decimal:
        """The worst price of an order: the collar's, or what the base currency pays for where that is less."""
        if self.side is Side.SELL:
            return self.instrument.ceil_price(self.quote.bid * (ONE - self.collar))
        payable = self.left(order.fee) / order.quantity
        return self.instrument.floor_price(min(max(self.price, self.quote.ask * (ONE + self.collar)), payable))

    def left(self, fee: Usd) -> Decimal:
        """Of the base currency what may be sold beside a commission, in it."""
        return max(ZERO, self.base.cash - self.kept - fee * self.per_dollar)

    @property
    def per_dollar(self) -> Decimal:
        """Units of the base currency for one USD, at that price."""
        return self.price if self.side is Side.BUY else ONE / self.price

    @property
    def lot(self) -> Decimal:
        """The smallest order, in the base currency."""
        return self.instrument.lot * (self.price if self.side is Side.BUY else ONE)

    @property
    def counted(self) -> Usd:
        """USD that a plan counts: all that may be sold, less one lot, by which an order is rounded up. What such an
        order leaves may be less than a lot: it counts as less than nothing then, so that the next plan starts from what
        this one ends with.
        """
        return Usd(max(-self.lot, self.base.cash - self.kept - self.lot) / self.per_dollar)

    def taken(self, order: ProposedOrder) -> Decimal:
        """Units of the base currency that an order takes, commission included."""
        _, foreign = self.pair.changes(order.side, Decimal(order.quantity), order.price)
        return -foreign + order.fee * self.per_dollar

    def dollars(self, order: ProposedOrder) -> Usd:
        """USD that it brings."""
        return Usd(self.pair.dollars(Decimal(order.quantity), order.price))


@dataclass(frozen=True, slots=True)
class ConvertedPlan:
    """A plan whose buys are paid for with what ``conversion`` brings as well; ``None`` where they need none.

    Attributes:
        back: gives away, after all others, dollars that it leaves idle.
        notes: on what is converted and what is not, for a person.
    """

    parked: ParkedPlan
    conversion: ProposedOrder | None
    back: ProposedOrder | None = None
    notes: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan:
        """With the orders for the reserve's fund, if there is one."""
        return self.parked.plan

    @property
    def exchanges(self) -> tuple[ProposedOrder, ...]:
        """Its orders for currencies."""
        return tuple(order for order in (self.conversion, self.back) if order is not None)


def may_convert(base: BaseCurrency, kept: Decimal, *, back: bool) -> bool:
    """Whether there is anything to convert; where dollars are converted ``back``, an account that has no base currency
    yet may get some.
    """
    return base.cash >= kept if back else base.cash > kept


def counting(snapshot: AccountSnapshot, exchange: Exchange) -> AccountSnapshot:
    """The account with what may be converted as dollars; the equity is the same."""
    other = snapshot.other_cash
    counted = exchange.counted
    return replace(
        snapshot,
        cash=Usd(snapshot.cash + counted),
        other_cash=None if other is None else Usd(other - counted),
    )


def plan_converted(inputs: PlanInputs, *, exchange: Exchange, dollars: Usd) -> ConvertedPlan:
    """As :func:`~rebalancer.planning.inputs.plan_of`, with an order for the dollars that its buys lack.

    The commission of that order is a cost of the plan like any other: the plan is made again without it. Where so
    little is lacking that it is not worth a conversion, the plan buys what the dollars pay for.

    Args:
        inputs: of the account with what may be converted among its cash, see :func:`counting`.
        dollars: of that cash those that are there already, USD, without what is owed for shorts that were set apart.

    Raises:
        Refused, QuoteUnavailable: as :func:`~rebalancer.planning.inputs.plan_of`.
    """
    snapshot = inputs.snapshot

    def planned(fee: Usd, cash: Usd, elsewhere: Usd = NO_USD) -> ParkedPlan:
        account = replace(snapshot, cash=cash, net_liquidation=Usd(snapshot.net_liquidation - fee))
        return plan_of(replace(inputs, snapshot=account), elsewhere)

    with exact_arithmetic():
        made = planned(NO_USD, snapshot.cash)
        if lacking(made.plan, dollars) <= 0:
            return ConvertedPlan(made, None)
        if first := order_for(lacking(made.plan, dollars), exchange):
            paid = planned(first.fee, Usd(snapshot.cash - first.fee))
            if order := order_for(lacking(paid.plan, dollars), exchange):
                return ConvertedPlan(paid, replace(order, fee=first.fee))
        cash = cash_for_buys(made.plan, dollars, exchange.base, exchange)
        return ConvertedPlan(planned(NO_USD, cash, Usd(cash - dollars)), None)


def lacking(made: Plan, dollars: Usd) -> Usd:
    """USD that the buys of a plan lack, and the part of the reserve that is to be in dollars; negative where there are
    enough.

    Args:
        dollars: before the plan's sells, USD.
    """
    return Usd(dollars_kept(made) - dollars_left(made, dollars)) if made.buys else NO_USD


def dollars_left(made: Plan, dollars: Usd) -> Usd:
    """USD that are there when a plan's orders have filled and its shorts are bought back; negative where they are too
    few.

    Args:
        dollars: before the plan's orders, USD.
    """
    brought = sum((order.notional - order.fee for order in made.sells), ZERO)
    cost = sum((order.notional + order.fee for order in made.buys), short_cover(made.lines))
    return Usd(dollars + brought - cost)


def order_for(missing: Usd, exchange: Exchange) -> ProposedOrder | None:
    """The smallest order that brings so many USD, as far as the base currency allows; ``None`` where it is not worth
    its commission.
    """
    if missing < WORTH_IT:
        return None
    fee = max(LEAST_COMMISSION, Usd(COMMISSION_RATE * missing))
    left, lot = exchange.left(fee), exchange.instrument.lot
    if exchange.side is Side.BUY:
        wanted, most = Decimal(missing), left / exchange.price
    else:
        wanted, most = missing / exchange.price, left
    quantity = min(int((wanted / lot).to_integral_value(ROUND_CEILING)) * lot, floor_shares(most, lot))
    if quantity < 1:
        return None
    reason = f"the buys lack {cents(missing)} USD: {exchange.side.lower()} {quantity} {exchange.instrument.symbol}"
    return ProposedOrder(exchange.instrument.symbol, exchange.side, quantity, exchange.price, fee, reason)


def dollars_kept(made: Plan) -> Usd:
    """The part of a plan's reserve that is dollars; the rest may be in the base currency."""
    return max(NO_USD, cash_part(made.reserve, made.equity))


def cash_for_buys(
    made: Plan, dollars: Usd, base: BaseCurrency | None, exchange: Exchange, cash_part: Usd | None = None
) -> Usd:
    """USD to size the buys of a plan from: the dollars that are there, and what of the reserve is in the base currency.

    Args:
        dollars: without what is owed for shorts.
        base: the account's, after what was converted.
        cash_part: for buys of the reserve's fund, which leave no more than that of the reserve: no more of it counts.
    """
    left = ZERO if base is None else max(ZERO, base.cash - exchange.kept) / exchange.per_dollar
    reserve = made.reserve if cash_part is None else min(made.reserve, cash_part)
    return Usd(dollars + min(left, max(ZERO, reserve - dollars_kept(made))))


def conversion_note(exchange: Exchange, conversion: ProposedOrder | None) -> str:
    """What becomes of the base currency, for a person."""
    counted = f"{cents(max(ZERO, exchange.counted))} USD of cash in {exchange.base.currency} count as dollars"
    if conversion is None:
        return f"{counted}; nothing of it has to be converted"
    taken = cents(exchange.taken(conversion))
    brought = cents(exchange.dollars(conversion))
    return f"{counted}; of it {taken} {exchange.base.currency} are sold for {brought} USD: {conversion.reason}"


def every_order(made: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The orders of a plan on record in the order of sending, the conversions too; their reasons say how each is
    worked, where they have a style.
    """
    conversion = made.get("conversion") or {}
    order, back = conversion.get("order"), conversion.get("back")
    styles = made.get("styles", {})
    sells = [one for one in made.get("orders", ()) if one["side"] == Side.SELL]
    buys = [one for one in made.get("orders", ()) if one["side"] != Side.SELL]
    every = [*sells, *([order] if order else []), *buys, *([back] if back else [])]
    return [_told(one, styles) for one in every]


def _told(order: dict[str, Any], styles: Mapping[str, Any]) -> dict[str, Any]:
    style = styles.get(order["symbol"])
    if style is None:
        return order
    return {**order, "reason": reason_and_style(order["reason"], style["style"], style["style_why"])}


def _pair(instrument: Instrument) -> CurrencyPair:
    found = CurrencyPair.read(instrument.symbol)
    if found is None:
        raise ValueError(f"{instrument.symbol} is no pair of currencies with dollars")
    return found
