"""Sell no more than the cash that is asked for, from what is most above its target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rebalancer.domain.portfolio import Plan, ProposedOrder
from rebalancer.domain.units import Usd
from rebalancer.planning.purchases import cash_above_reserve
from rebalancer.planning.rules import PlanningRules


def just_enough(draft: Plan, cash: Usd, rules: PlanningRules) -> Plan:
    """Keep of the sells what brings the cash to the reserve; each is what its drift justifies, or less."""
    excess = {line.symbol: (line.held - line.target_shares) * line.price for line in draft.lines}
    lots = {line.symbol: line.lot for line in draft.lines}
    kept: tuple[ProposedOrder, ...] = ()
    for order in sorted(draft.sells, key=lambda order: (-excess[order.symbol], order.symbol)):
        if order.notional <= order.fee:
            continue
        if _missing(draft, kept, cash, rules) <= 0:
            break
        kept += (_least(order, lots[order.symbol], rules, _fits(draft, kept, cash, rules)),)
    return replace(draft, sells=tuple(sorted(kept, key=lambda order: (-order.notional, order.symbol))))


def _missing(draft: Plan, sells: tuple[ProposedOrder, ...], cash: Usd, rules: PlanningRules) -> Usd:
    """USD by which cash and proceeds are below the reserve."""
    proceeds = Usd(sum((order.notional - order.fee for order in sells), cash))
    return Usd(-cash_above_reserve(replace(draft, sells=sells), proceeds, rules))


def _fits(
    draft: Plan, kept: tuple[ProposedOrder, ...], cash: Usd, rules: PlanningRules
) -> Callable[[ProposedOrder], bool]:
    return lambda order: _missing(draft, (*kept, order), cash, rules) <= 0


def _least(
    order: ProposedOrder, lot: int, rules: PlanningRules, suffices: Callable[[ProposedOrder], bool]
) -> ProposedOrder:
    """The order with the fewest lots that suffices, or all of it."""
    low, high = 1, order.quantity // lot
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(_resized(order, middle * lot, rules)) else (middle + 1, high)
    return _resized(order, high * lot, rules)


def _resized(order: ProposedOrder, quantity: int, rules: PlanningRules) -> ProposedOrder:
    if quantity == order.quantity:
        return order
    reason = f"{order.reason}; {quantity} bring the cash that is asked for"
    return replace(order, quantity=quantity, fee=rules.fees.estimate(quantity, order.price), reason=reason)
