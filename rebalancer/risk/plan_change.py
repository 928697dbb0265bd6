"""How far a plan has moved since a person looked at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Plan, ProposedOrder, Side
from rebalancer.domain.units import Ratio

SignedUsd = Mapping[str, Decimal]


def signed_notionals(orders: Iterable[ProposedOrder]) -> SignedUsd:
    """USD by symbol: buys positive, sells negative."""
    return {order.symbol: order.notional if order.side is Side.BUY else -order.notional for order in orders}


def moved(before: SignedUsd, plan: Plan) -> Ratio:
    """Sum of all differences between two plans' orders, as a fraction of equity."""
    now = signed_notionals(plan.orders)
    differences = (abs(now.get(symbol, ZERO) - before.get(symbol, ZERO)) for symbol in before.keys() | now.keys())
    return Ratio(sum(differences, ZERO) / plan.equity)


def exceeded(before: SignedUsd, plan: Plan) -> Ratio:
    """The same, counting only what goes beyond the earlier orders: doing less of them is no move."""
    now = signed_notionals(plan.orders)
    excess = (_beyond(amount, before.get(symbol, ZERO)) for symbol, amount in now.items())
    return Ratio(sum(excess, ZERO) / plan.equity)


def _beyond(now: Decimal, before: Decimal) -> Decimal:
    same_side = (now > 0) is (before > 0)
    return max(ZERO, abs(now) - abs(before)) if same_side else abs(now)
