"""Dollars that neither the reserve nor the targets need, back into the account's base currency; pure.

The last order of a plan, after its buys, and never in a plan that converts for them. What stays in dollars is more than
the next plan is likely to need, and what is converted is worth its commission many times over, so that no money goes
back and forth. Why: docs/decisions/0045-idle-dollars-go-back-last-and-seldom.md.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from rebalancer.domain.money import ONE, ZERO, cents, floor_shares
from rebalancer.domain.portfolio import Plan, ProposedOrder, Side
from rebalancer.domain.units import Usd
from rebalancer.planning.checks import exact_arithmetic
from rebalancer.planning.conversion import COMMISSION_RATE, LEAST_COMMISSION, Exchange, dollars_left
from rebalancer.planning.inputs import PlanInputs, plan_of
from rebalancer.planning.parked_reserve import ParkedPlan

PART = Decimal("0.01")
"""Of equity: at least so much stays in dollars, and no less is converted back. So what a usual collar leaves is not
converted by the next run.
"""
LEAST = Usd(Decimal(1000))
"""USD, in small accounts: of them the least commission is 0.2 %."""


def idle_dollars(made: Plan, dollars: Usd) -> Usd:
    """USD that are left when a plan's orders have filled, beyond its reserve and what its targets still lack: whole
    shares and drift bands leave names below them. Negative where there are too few.

    Args:
        dollars: before the plan's orders, USD.
    """
    wanted = (line.target_weight * made.investable - max(ZERO, line.planned_shares) * line.price for line in made.lines)
    lacking = sum((usd for usd in wanted if usd > 0), ZERO)
    return Usd(dollars_left(made, dollars) - lacking - max(made.reserve, PART * made.equity))


def order_back(idle: Usd, equity: Usd, exchange: Exchange) -> ProposedOrder | None:
    """The largest order that idle dollars pay for whatever its limit allows; ``None`` where it is not worth it, or
    where the base currency is below what is kept of it: what fills that up counts no more.
    """
    side, lot, quote = _side(exchange), exchange.instrument.lot, exchange.quote
    limit = back_limit(exchange)
    a_lot = exchange.pair.dollars(Decimal(lot), limit)  # so much may be left, and is not worth another order
    if idle < max(LEAST, PART * equity) + a_lot or exchange.base.cash < exchange.kept:
        return None
    quantity = floor_shares(idle / limit if side is Side.BUY else idle, lot)
    symbol, price = exchange.instrument.symbol, quote.ask if side is Side.BUY else quote.bid
    fee = max(LEAST_COMMISSION, Usd(COMMISSION_RATE * exchange.pair.dollars(Decimal(quantity), price)))
    reason = f"{cents(idle)} USD lie idle: {side.lower()} {quantity} {symbol}"
    return ProposedOrder(symbol, side, quantity, price, fee, reason)


def back_limit(exchange: Exchange) -> Decimal:
    """The worst price at which dollars are given away: the collar's."""
    if _side(exchange) is Side.BUY:
        return exchange.instrument.floor_price(exchange.quote.ask * (ONE + exchange.collar))
    return exchange.instrument.ceil_price(exchange.quote.bid * (ONE - exchange.collar))


def cost_back(order: ProposedOrder, exchange: Exchange) -> Usd:
    """USD of what plans count that an order back costs: its commission, and that what it brings counts at the price at
    which it would be sold again.
    """
    _, foreign = exchange.pair.changes(order.side, Decimal(order.quantity), order.price)
    return Usd(exchange.dollars(order) - foreign / exchange.per_dollar + order.fee)


def plan_back(
    inputs: PlanInputs, made: ParkedPlan, exchange: Exchange, *, dollars: Usd, proceeds_pay: bool
) -> tuple[ParkedPlan, ProposedOrder | None]:
    """A plan with an order for the dollars that it leaves idle, whose cost is the plan's like any other; or the same
    plan, where there is nothing to convert.

    Args:
        inputs: that ``made`` was made from.
        dollars: those that may be given away today, USD, without what is owed for shorts.
        proceeds_pay: what the plan sells is among them at once.
    """

    def most(plan: Plan) -> ProposedOrder | None:
        idle = idle_dollars(plan, dollars)
        if not proceeds_pay:
            idle = min(idle, idle_dollars(replace(plan, sells=()), dollars))
        return order_back(idle, plan.equity, exchange)

    with exact_arithmetic():
        order = most(made.plan)
        while order is not None:
            cost, account = cost_back(order, exchange), inputs.snapshot
            rest = replace(account, cash=Usd(account.cash - cost), net_liquidation=Usd(account.net_liquidation - cost))
            paid = plan_of(replace(inputs, snapshot=rest))
            left = most(paid.plan)
            if left is not None and left.quantity >= order.quantity:
                return paid, order
            order = left  # smaller: there is an end
    return made, None


def _side(exchange: Exchange) -> Side:
    """On which dollars are sold."""
    return Side.SELL if exchange.side is Side.BUY else Side.BUY
