"""Size the buys of a plan from cash and positions, estimated or real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rebalancer.domain.money import ONE, ZERO, nearest_shares
from rebalancer.domain.portfolio import AccountSnapshot, Plan, PlanLine, ProposedOrder, Quote, Side
from rebalancer.domain.units import NO_USD, Ratio, Shares, Usd
from rebalancer.planning.checks import check_account, check_quotes, exact_arithmetic, holdings
from rebalancer.planning.rules import PlanningRules
from rebalancer.planning.whole_shares import Want, choose
from rebalancer.planning.wording import order_reason


@dataclass(frozen=True, slots=True)
class Buys:
    """Orders, largest shortfall first, and what a better choice could still remove of the deviation, USD."""

    orders: tuple[ProposedOrder, ...]
    gap: Usd


def size_buys(
    plan: Plan, snapshot: AccountSnapshot, quotes: Mapping[str, Quote], rules: PlanningRules
) -> tuple[ProposedOrder, ...]:
    """Size the buys after the sells, toward the share targets of the plan.

    A plan sizes its own buys with this function, from the estimated proceeds: both agree when the sells fill as
    estimated. The share targets are the plan's, since a market that moves as a whole moves equity with it; the reserve
    is that of the plan's equity less the estimated costs of its sells.

    Args:
        snapshot: cash and positions after the sells; its equity is not used.
        quotes: fresh; needed for every symbol that the plan found underweight.

    Returns:
        Buys of names that were underweight in the plan and still are, perhaps of some for which the plan lacked the
        cash; largest shortfall first. They and their fees leave the reserve untouched. Empty if cash is below it.

    Raises:
        QuoteUnavailable: naming every symbol without a usable quote.
        Refused: cash or a position is not a number.
    """
    with exact_arithmetic():
        check_account(snapshot)
        return purchase(plan, snapshot, quotes, rules).orders


def off_plan(
    plan: Plan, snapshot: AccountSnapshot, quotes: Mapping[str, Quote], rules: PlanningRules
) -> dict[str, Usd]:
    """By how many USD each symbol differs from a plan whose orders have ended. A buy lacks only what the cash allows:
    prices move while it is on its way.

    Args:
        snapshot: cash and positions afterwards; its equity is not used.
        quotes: of every symbol that the plan found underweight.

    Raises:
        Refused: cash or a position is not a number.
    """
    held, bought = holdings(snapshot), {order.symbol for order in plan.buys}
    wanted = {order.symbol: order.notional for order in size_buys(plan, snapshot, quotes, rules)}
    for line in plan.lines:
        difference = held.get(line.symbol, ZERO) - line.planned_shares
        if abs(difference) >= line.lot and (difference > 0 or line.symbol not in bought):
            wanted[line.symbol] = Usd(abs(difference) * line.price)
    return wanted


def purchase(plan: Plan, snapshot: AccountSnapshot, quotes: Mapping[str, Quote], rules: PlanningRules) -> Buys:
    """:func:`size_buys`, and how good the choice is."""
    if not rules.allowed(1):
        return Buys((), NO_USD)
    held = holdings(snapshot)
    lines = {line.symbol: line for line in plan.lines if was_underweight(line, plan.investable, rules)}
    shortfalls = {
        symbol: Shares(line.target_shares - held.get(symbol, ZERO))
        for symbol, line in lines.items()
        if held.get(symbol, ZERO) >= 0 and line.target_shares - held.get(symbol, ZERO) > rules.threshold(line.lot)
    }
    check_quotes(shortfalls, quotes)
    wants = [
        Want(
            symbol=symbol,
            shortfall=shortfall,
            value=quotes[symbol].mid,
            price=quotes[symbol].ask * (ONE + rules.price_margin),
            lot=lines[symbol].lot,
        )
        for symbol, shortfall in shortfalls.items()
    ]
    chosen = choose(wants, cash_above_reserve(plan, snapshot.cash, rules), rules.fees, rules.reserve_fraction)
    bought = [want for want in wants if chosen.quantities[want.symbol]]
    bought.sort(key=lambda want: (-want.shortfall * want.value, want.symbol))
    orders = (_order(want, chosen.quantities[want.symbol], lines[want.symbol], plan, rules) for want in bought)
    return Buys(tuple(orders), chosen.gap)


def was_underweight(line: PlanLine, investable: Usd, rules: PlanningRules) -> bool:
    """Whether the plan found a buy wanted: drift below target beyond both the threshold and the band."""
    missing = line.target_weight * investable - line.held * line.price
    return (
        line.held >= 0
        and line.target_shares - line.held > rules.threshold(line.lot)
        and missing > rules.band(line.target_weight) * investable
    )


def cash_above_reserve(plan: Plan, cash: Usd, rules: PlanningRules) -> Usd:
    """Cash that is neither reserve nor needed to buy back short positions, USD; negative if there is too little."""
    return Usd(cash - short_cover(plan.lines) - rules.reserve(Usd(plan.equity - trading_costs(plan, plan.sells))))


def short_cover(lines: tuple[PlanLine, ...]) -> Usd:
    """USD that short positions are worth; it came in as cash and is owed."""
    return Usd(sum((-line.held * line.price for line in lines if line.held < 0), ZERO))


def trading_costs(plan: Plan, orders: tuple[ProposedOrder, ...]) -> Usd:
    """USD of equity that orders of targets cost: their distance from mid and their fees."""
    mids = {line.symbol: line.price for line in plan.lines}
    costs = (
        order.quantity * abs(order.price - mids[order.symbol]) + order.fee for order in orders if order.symbol in mids
    )
    return Usd(sum(costs, ZERO))


def _order(want: Want, quantity: int, line: PlanLine, plan: Plan, rules: PlanningRules) -> ProposedOrder:
    current = Ratio((line.target_shares - want.shortfall) * want.value / plan.investable)
    reason = order_reason(Side.BUY, quantity, nearest_shares(want.shortfall, want.lot), current, line.target_weight)
    fee = rules.fees.estimate(quantity, want.price)
    return ProposedOrder(symbol=want.symbol, side=Side.BUY, quantity=quantity, price=want.price, fee=fee, reason=reason)
