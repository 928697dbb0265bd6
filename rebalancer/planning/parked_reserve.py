"""The reserve in shares of a T-bill fund instead of in cash: pure.

The fund is no target. Its shares are taken out of the account before the plan, which counts them as the part of the
reserve that is there already; so the targets are bought and sold as if the reserve were all cash. Orders for the fund
come on top: sold before everything else where cash is needed, bought after everything else from what the reserve keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ONE, ZERO, cents, floor_shares
from rebalancer.domain.portfolio import AccountSnapshot, Plan, ProposedOrder, Quote, Side, TargetWeight
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import NO_SHARES, NO_USD, Ratio, Shares, Usd
from rebalancer.planning.checks import check_account, check_quotes, check_rules, exact_arithmetic, holdings
from rebalancer.planning.planner import SINGLE_SHARES, plan
from rebalancer.planning.purchases import short_cover, trading_costs
from rebalancer.planning.rules import PlanningRules

OF_RESERVE = Decimal("0.1")
OF_EQUITY = Decimal("0.001")
"""The larger of them stays cash: prices move and fees are due while the orders of up to the whole account fill, which
costs some hundredths of a percent of it; and the fund itself has to be sold before it pays for anything.
"""
SLACK = Decimal("0.5")
"""Of the cash part: so much of it may be missing before anything is sold of the fund for it."""


@dataclass(frozen=True, slots=True)
class Parking:
    """The fund, and what is to become of it.

    Attributes:
        held: shares.
        reserve: what the rule keeps in all, USD.
        cash_part: of it what is to stay cash, USD.
        raised: USD that are to be there in cash besides; of raise-cash.
        bought: shares that the plan wants to buy; as many as the cash allows then.
    """

    symbol: str
    quote: Quote
    lot: int
    held: Shares
    reserve: Usd
    cash_part: Usd
    raised: Usd
    bought: int = 0

    def value(self, shares: Decimal) -> Usd:
        """What shares are worth at mid."""
        return Usd(shares * self.quote.mid)

    def filled(self, shares: Shares) -> Usd:
        """USD that have gone into it since, which keep the reserve as they did as cash.

        Args:
            shares: that are held by now.
        """
        return self.value(max(shares - self.held, ZERO))

    @property
    def excess(self) -> Usd:
        """USD that the fund holds beyond what it is to hold; negative where it lacks some."""
        return Usd(self.value(self.held) - self.reserve + self.cash_part)

    @property
    def missing(self) -> int:
        """Whole lots that it lacks."""
        return floor_shares(max(ZERO, -self.excess) / self.quote.mid, self.lot)

    @property
    def tolerance(self) -> Usd:
        """USD too much or too little that are left alone: a lot, and a part of the cash part."""
        return Usd(self.value(Decimal(self.lot)) + SLACK * self.cash_part)


@dataclass(frozen=True, slots=True)
class ParkedPlan:
    """A plan with the orders for the fund, if there is one, and the rules by which its other buys are sized again."""

    plan: Plan
    rules: PlanningRules
    parking: Parking | None = None


def plan_parked(
    snapshot: AccountSnapshot,
    weights: Sequence[TargetWeight],
    quotes: Mapping[str, Quote],
    rules: PlanningRules,
    lots: Mapping[str, int] = SINGLE_SHARES,
    *,
    symbol: str,
    raised: Usd,
    elsewhere: Usd = NO_USD,
) -> ParkedPlan:
    """As :func:`rebalancer.planning.plan`, with the reserve in shares of ``symbol``.

    Args:
        rules: of an account that keeps its reserve in cash.
        raised: the part of ``rules.reserve_amount`` that is to be there in cash, USD; of raise-cash.
        elsewhere: of the account's cash what is in another currency and stays there, USD: it keeps the reserve, and
            buys nothing of the fund.

    Raises:
        Refused: as :func:`~rebalancer.planning.plan`; ``reserve_symbol_targeted``; ``position_invalid`` for a short
            position of the fund.
        QuoteUnavailable: likewise.
    """
    check_no_target(symbol, weights)
    with exact_arithmetic():
        check_rules(rules)
        check_account(snapshot)
        parking, owed = _parking(snapshot, quotes, rules, symbol=symbol, lot=lots.get(symbol, 1), raised=raised)

        def planned(
            sell: ProposedOrder | None, buy: ProposedOrder | None = None
        ) -> tuple[Plan, PlanningRules, Usd, Parking]:
            """The plan beside these orders, its rules, the cash that it leaves, and :func:`_after_costs`."""
            rest, inner = _rest(parking, sell, buy, snapshot), _rules_of_rest(parking, sell, rules)
            equity = Usd(snapshot.net_liquidation - sum(_cost(parking, order) for order in (sell, buy) if order))
            made = plan(rest, weights, quotes, inner, lots)
            lasting = _after_costs(parking, equity, made, rules)
            if (by_what_is_left := _rules_of_rest(lasting, sell, rules)) != inner:
                inner, made = by_what_is_left, plan(rest, weights, quotes, by_what_is_left, lots)
                lasting = _after_costs(parking, equity, made, rules)
            return made, inner, _cash_after(snapshot.cash, sell, made), lasting

        sell = _sold_first(parking, Usd(snapshot.cash - owed), rules)
        made, inner, cash, lasting = planned(sell)
        while more := _sold_besides(lasting, sell, cash, rules):  # ever more of it: there is an end
            sell = more
            made, inner, cash, lasting = planned(sell)
        wanted = 0 if sell else _wanted(lasting, rules)
        beside = 0
        while (buy := _buy(lasting, wanted, Usd(cash - elsewhere), rules)) and buy.quantity > beside:  # likewise
            beside = buy.quantity
            made, inner, cash, lasting = planned(sell, buy)
            wanted = min(wanted, lasting.missing)
        return _with_fund_orders(replace(lasting, bought=wanted), sell, made, Usd(cash - elsewhere), inner)


def _parking(
    snapshot: AccountSnapshot,
    quotes: Mapping[str, Quote],
    rules: PlanningRules,
    *,
    symbol: str,
    lot: int,
    raised: Usd,
) -> tuple[Parking, Usd]:
    """The fund, and USD of the account's cash that are owed for shorts."""
    held = holdings(snapshot)
    shorts = {one: -count for one, count in held.items() if count < 0}
    if symbol in shorts:
        raise Refused(Rule.POSITION_INVALID, f"{symbol} is to keep the reserve, and is held short: {held[symbol]}")
    check_quotes([symbol, *shorts], quotes)
    equity = snapshot.net_liquidation
    reserve = Usd(rules.reserve(equity) - raised)
    shares, part = held.get(symbol, NO_SHARES), cash_part(reserve, equity)
    owed = sum((count * quotes[one].mid for one, count in shorts.items()), ZERO)
    return Parking(symbol, quotes[symbol], lot, shares, reserve, part, raised), Usd(owed)


def check_no_target(symbol: str, weights: Sequence[TargetWeight]) -> None:
    """Refuse a fund that is a target as well: ``reserve_symbol_targeted``."""
    if any(entry.symbol == symbol and entry.weight for entry in weights):
        reason = f"{symbol} is to keep the reserve, and is a target as well: choose another reserve_symbol"
        raise Refused(Rule.RESERVE_SYMBOL_TARGETED, reason, {"symbol": symbol})


def cash_part(reserve: Usd, equity: Usd) -> Usd:
    """USD of a reserve that stay cash."""
    return Usd(min(reserve, max(OF_RESERVE * reserve, OF_EQUITY * equity)))


def with_fund(
    orders: tuple[ProposedOrder, ...],
    parking: Parking | None,
    cash: Usd,
    quotes: Mapping[str, Quote],
    rules: PlanningRules,
) -> tuple[ProposedOrder, ...]:
    """Buys of targets, and of the fund as many of the planned shares as the cash allows after them.

    Args:
        cash: before the buys, USD, without what is owed for shorts.
        quotes: fresh.

    Raises:
        QuoteUnavailable: the fund has none.
    """
    if parking is None or not parking.bought:
        return orders
    check_quotes([parking.symbol], quotes)
    parking = replace(parking, quote=quotes[parking.symbol])
    with exact_arithmetic():
        left = Usd(cash - sum((order.notional + order.fee for order in orders), ZERO))
        order = _buy(parking, parking.bought, left, rules)
    return orders if order is None else (*orders, order)


def _after_costs(parking: Parking, equity: Usd, made: Plan, rules: PlanningRules) -> Parking:
    """The same with the reserve of the equity that the plan leaves, which the next plan will start from."""
    left = Usd(equity - trading_costs(made, made.orders))
    reserve = Usd(rules.reserve(left) - parking.raised)
    return replace(parking, reserve=reserve, cash_part=cash_part(reserve, left))


def _cost(parking: Parking, order: ProposedOrder) -> Usd:
    """USD of equity that an order for the fund costs."""
    return Usd(order.quantity * abs(order.price - parking.quote.mid) + order.fee)


def _with_fund_orders(
    parking: Parking, sell: ProposedOrder | None, made: Plan, cash: Usd, rules: PlanningRules
) -> ParkedPlan:
    """The plan of the rest, with what is sold of the fund for it, and bought from this ``cash``."""
    buy = _buy(parking, parking.bought, cash, rules)
    final = replace(
        made,
        reserve=Usd(made.reserve - (buy.notional + buy.fee if buy else ZERO)),
        sells=(*((sell,) if sell else ()), *made.sells),
        buys=(*made.buys, *((buy,) if buy else ())),
        notes=(*made.notes, _note(parking, sell, buy)),
    )
    return ParkedPlan(final, rules, parking)


def _rest(
    parking: Parking, sell: ProposedOrder | None, buy: ProposedOrder | None, snapshot: AccountSnapshot
) -> AccountSnapshot:
    """The account without the fund, with the proceeds of what is sold of it, and less what buying it costs."""
    proceeds = _net(sell)
    cost = _cost(parking, buy) if buy else ZERO
    return replace(
        snapshot,
        positions=tuple(one for one in snapshot.positions if one.symbol != parking.symbol or not one.tradable),
        cash=Usd(snapshot.cash + proceeds),
        net_liquidation=Usd(snapshot.net_liquidation - parking.value(parking.held) + proceeds - cost),
    )


def _rules_of_rest(parking: Parking, sell: ProposedOrder | None, rules: PlanningRules) -> PlanningRules:
    """Its rules: what stays of the fund is a part of the reserve that is there already, or all of it."""
    stays = parking.value(parking.held - (sell.quantity if sell else 0))
    raises = rules.kind is RebalanceMode.RAISE_CASH
    if not raises and stays <= parking.reserve - SLACK * parking.cash_part:
        return replace(rules, parked=stays)
    part = ONE if raises else SLACK
    fraction, amount = _cash_rule(parking, rules)
    return replace(
        rules,
        reserve_fraction=Ratio(part * fraction),
        reserve_amount=Usd(part * amount + parking.raised + stays),
        parked=stays,
    )


def _cash_rule(parking: Parking, rules: PlanningRules) -> tuple[Decimal, Decimal]:
    """The cash part as a fraction of equity and USD besides: costs lower it as they lower equity."""
    fraction, amount = rules.reserve_fraction, rules.reserve_amount - parking.raised
    if parking.cash_part == parking.reserve:
        return fraction, amount
    if parking.cash_part == OF_RESERVE * parking.reserve:
        return OF_RESERVE * fraction, OF_RESERVE * amount
    return OF_EQUITY, ZERO


def _sold_first(parking: Parking, cash: Usd, rules: PlanningRules) -> ProposedOrder | None:
    """What is sold of the fund whatever the plan is; ``cash`` is without what is owed for shorts."""
    if rules.kind is RebalanceMode.RAISE_CASH:
        missing = Usd(parking.raised + parking.cash_part - cash)
        return _sell(parking, _shares_for(parking, missing, rules), rules, "cash is asked for")
    if rules.kind is RebalanceMode.BUY_ONLY or parking.excess <= parking.tolerance:
        return None
    surplus = floor_shares(parking.excess / parking.quote.mid, parking.lot)
    return _sell(parking, surplus, rules, "more than it keeps")


def _sold_besides(
    parking: Parking, first: ProposedOrder | None, cash: Usd, rules: PlanningRules
) -> ProposedOrder | None:
    """What has to be sold of the fund in place of ``first``, because the plan leaves too little cash, or costs so much
    that the fund is too large afterwards; else nothing.
    """
    if rules.kind is not RebalanceMode.FULL:
        return None
    if cash >= SLACK * parking.cash_part:
        return None if first else _sold_first(parking, cash, rules)
    missing = Usd(parking.cash_part - cash + _net(first))
    quantity = _shares_for(parking, missing, rules)
    return _sell(parking, quantity, rules, "cash is needed") if first is None or quantity > first.quantity else None


def _shares_for(parking: Parking, missing: Usd, rules: PlanningRules) -> int:
    """The fewest shares whose sale brings so much, fee included, or all that there are."""
    if missing <= 0:
        return 0
    lot, price, most = parking.lot, parking.quote.bid, floor_shares(parking.held, parking.lot)
    shares = int((missing / (price * lot)).to_integral_value(ROUND_CEILING)) * lot
    while shares < most and shares * price - rules.fees.estimate(shares, price) < missing:
        shares += lot
    return min(most, shares)


def _wanted(parking: Parking, rules: PlanningRules) -> int:
    """Shares of the fund that the reserve lacks, if it is worth an order."""
    if -parking.excess <= parking.tolerance or rules.kind is RebalanceMode.RAISE_CASH:
        return 0
    return parking.missing


def _buy(parking: Parking, wanted: int, cash: Usd, rules: PlanningRules) -> ProposedOrder | None:
    """As many of the wanted shares as leave the cash part, if they are worth an order."""
    price = parking.quote.ask * (ONE + rules.price_margin)
    spendable = max(ZERO, cash - parking.cash_part)
    quantity = min(wanted, floor_shares(spendable / price, parking.lot))
    while quantity > 0 and quantity * price + rules.fees.estimate(quantity, price) > spendable:
        quantity -= parking.lot
    if quantity <= 0 or (quantity < wanted and parking.value(Decimal(quantity)) < SLACK * parking.cash_part):
        return None
    fee = rules.fees.estimate(quantity, price)
    return ProposedOrder(parking.symbol, Side.BUY, quantity, price, fee, f"keeps the reserve: buy {quantity}")


def _sell(parking: Parking, quantity: int, rules: PlanningRules, why: str) -> ProposedOrder | None:
    if quantity <= 0:
        return None
    price = parking.quote.bid
    fee, reason = rules.fees.estimate(quantity, price), f"keeps the reserve, {why}: sell {quantity}"
    return ProposedOrder(parking.symbol, Side.SELL, quantity, price, fee, reason)


def _net(sell: ProposedOrder | None) -> Usd:
    """USD that a sale brings."""
    return Usd(sell.notional - sell.fee if sell else ZERO)


def _cash_after(cash: Usd, sell: ProposedOrder | None, made: Plan) -> Usd:
    """When all these orders have filled; what is owed for shorts is none."""
    brought = sum((order.notional - order.fee for order in made.sells), ZERO)
    spent = sum((order.notional + order.fee for order in made.buys), ZERO)
    return Usd(cash + _net(sell) + brought - spent - short_cover(made.lines))


def _note(parking: Parking, sell: ProposedOrder | None, buy: ProposedOrder | None) -> str:
    shares = parking.held - (sell.quantity if sell else 0) + (buy.quantity if buy else 0)
    kept = f"{parking.symbol}: {shares:f} shares, {cents(parking.value(shares))} USD, keep the reserve"
    return f"{kept} of {cents(parking.reserve)} USD, of which {cents(parking.cash_part)} are to stay cash"
