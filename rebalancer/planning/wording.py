"""Reasons and notes for a person, with the numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from rebalancer.domain.money import ONE, ZERO, cents, floor_shares
from rebalancer.domain.portfolio import AccountSnapshot, Side, TargetWeight
from rebalancer.domain.units import Ratio, Shares, Usd, percent_text
from rebalancer.planning.holdings import Stock
from rebalancer.planning.rules import PlanningRules


def order_reason(side: Side, quantity: int, wanted: int, current: Ratio, target: Ratio) -> str:
    """One sentence, for example ``holds 24.1 %, target 21.4 %: sell 12``; weights are fractions."""
    aim = f"target {percent_text(target)}" if target else "no longer a target"
    short = f" of {wanted}, cash allows no more" if quantity < wanted else ""
    return f"holds {percent_text(current)}, {aim}: {side.lower()} {quantity}{short}"


def line_note(stock: Stock, investable: Usd, rules: PlanningRules, traded: int) -> str | None:
    """Why a drift remains; ``None`` if there is none, or an order that explains itself."""
    target = stock.target_shares(investable)
    if stock.held < 0:
        return f"short position of {_shares(stock.held)}: never traded"
    if target < stock.held - floor_shares(stock.held):
        return f"{_shares(stock.held - floor_shares(stock.held))} cannot be sold: orders are for whole shares"
    if traded or target == stock.held:
        return None
    if stock.within_band(investable, rules):
        drift = Ratio(stock.value / investable - stock.weight)
        return f"drift of {percent_text(drift)} is within the band of {percent_text(rules.band(stock.weight))}"
    threshold = rules.threshold(stock.lot)
    if abs(target - stock.held) <= threshold:
        return f"drift of {_shares(stock.held - target)} is within the threshold of {threshold.normalize():f}"
    return _not_traded(stock, target, rules)


def odd_note(stock: Stock, planned: Shares, investable: Usd, rules: PlanningRules) -> str | None:
    """Why less than a lot is neither bought nor sold; ``None`` where single shares would be left alone too.

    Args:
        planned: shares that are held when all orders of the plan have filled.
    """
    after = replace(stock, held=planned)
    if after.wanted_trade(investable, rules) or not replace(after, lot=1).wanted_trade(investable, rules):
        return None
    size = f"orders are for multiples of {stock.lot} shares"
    over = planned - stock.target_shares(investable)
    if planned < stock.lot and over > 0:
        return f"{_shares(planned)} cannot be sold: {size}"
    return f"{_shares(over)} {'above' if over > 0 else 'below'} its target: {size}"


def _not_traded(stock: Stock, target: Shares, rules: PlanningRules) -> str:
    """Why a drift beyond band and threshold remains."""
    if not rules.allowed(1 if target > stock.held else -1):
        return f"off by {_shares(stock.held - target)}: no such order in a {rules.kind} rebalance"
    if target < stock.held:
        return "not sold: the cash that is asked for is there without it"
    smallest = "one share" if stock.lot == 1 else f"a lot of {stock.lot} shares"
    return f"cash does not allow {smallest} at {cents(stock.buy_price)} USD"


def plan_notes(snapshot: AccountSnapshot, weights: Sequence[TargetWeight], reserve: Usd, gap: Usd) -> tuple[str, ...]:
    """Remarks on what the plan leaves out or assumes.

    Args:
        gap: USD, see :class:`~rebalancer.planning.whole_shares.Purchase`.
    """
    return (*_never_traded(snapshot), *_about_weights(weights), *_about_cash(snapshot.cash, reserve, gap))


def _never_traded(snapshot: AccountSnapshot) -> Iterable[str]:
    for position in snapshot.positions:
        if not position.tradable:
            kind = f"{position.security_type} in {position.currency}"
            yield f"{position.symbol}: {position.quantity} {kind} is not a US stock, neither counted nor traded"


def _about_weights(weights: Sequence[TargetWeight]) -> Iterable[str]:
    total = Ratio(sum((entry.weight for entry in weights), ZERO))
    if total > ONE:
        yield f"the target weights sum to {percent_text(total, 2)} and are scaled down to 100 %"
    elif total < ONE:
        yield f"the target weights sum to {percent_text(total, 2)}, the rest stays cash"


def _about_cash(cash: Usd, reserve: Usd, gap: Usd) -> Iterable[str]:
    if cash < reserve:
        yield f"cash of {cents(cash)} USD is below the reserve of {cents(reserve)} USD before the sells"
    if gap > 0:
        yield f"the choice of whole shares is within {gap:.6f} USD of deviation of the best"


def _shares(quantity: Decimal) -> str:
    return f"{abs(quantity):.4f}".rstrip("0").rstrip(".") + " shares"
