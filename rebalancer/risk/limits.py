"""Risk limits: beyond them a person has to look at the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from rebalancer.domain.account_history import Traded
from rebalancer.domain.money import ONE, ZERO, cents
from rebalancer.domain.outcomes import NeedsApproval
from rebalancer.domain.portfolio import Plan, ProposedOrder, Quote, Side
from rebalancer.domain.units import Ratio, Usd, percent_text

Unit = TypeVar("Unit", Usd, Ratio)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the program may trade alone.

    Attributes:
        order_usd / order_share: one order, in USD and as a fraction of equity.
        run_turnover / day_turnover: sells and buys as a fraction of equity.
        day_orders: orders of one account and day.
        all_day_usd / all_day_orders: sells and buys of all accounts and one day, in USD and as a number of orders.
        from_last: distance of a price from the last trade, as a fraction of it.
    """

    order_usd: Usd
    order_share: Ratio
    run_turnover: Ratio
    day_turnover: Ratio
    day_orders: int
    all_day_usd: Usd
    all_day_orders: int
    from_last: Ratio

    def and_own(
        self, order_usd: Usd | None, order_share: Ratio | None, turnover: Ratio | None, day_orders: int | None
    ) -> Limits:
        """The tighter of these and an account's own limits."""
        tightest = replace(
            self,
            order_usd=_tighter(self.order_usd, order_usd),
            order_share=_tighter(self.order_share, order_share),
            run_turnover=_tighter(self.run_turnover, turnover),
            day_turnover=_tighter(self.day_turnover, turnover),
        )
        return tightest if day_orders is None else replace(tightest, day_orders=min(self.day_orders, day_orders))


def beyond(
    plan: Plan, quotes: Mapping[str, Quote], limits: Limits, *, today: Traded, everywhere: Traded, collar: Ratio
) -> NeedsApproval | None:
    """Compare a plan with the limits.

    Args:
        today: of the plan's account.
        everywhere: of all accounts, this one included.
        collar: fraction by which a limit price may be worse than its quote; 0 for market orders.
    """
    reasons = (
        *_orders(plan, limits),
        *_turnover(plan, limits, today),
        *_all_accounts(plan, limits, everywhere),
        *far_prices(plan, quotes, limits, collar),
    )
    return NeedsApproval(reasons) if reasons else None


def _orders(plan: Plan, limits: Limits) -> Iterator[str]:
    for order in plan.orders:
        if order.notional > limits.order_usd:
            yield f"{_named(order)} is {cents(order.notional)} USD, more than {limits.order_usd:f}"
        if order.notional > limits.order_share * plan.equity:
            yield f"{_named(order)} is {_of_equity(order.notional, plan)}, more than {percent_text(limits.order_share)}"


def _turnover(plan: Plan, limits: Limits, today: Traded) -> Iterator[str]:
    if not plan.orders:
        return
    run = _notional(plan)
    day = Usd(run + today.notional)
    if run > limits.run_turnover * plan.equity:
        yield f"the run trades {_of_equity(run, plan)}, more than {percent_text(limits.run_turnover)}"
    if day > limits.day_turnover * plan.equity:
        yield f"the day's trades are {_of_equity(day, plan)}, more than {percent_text(limits.day_turnover)}"
    count = len(plan.orders) + today.orders
    if count > limits.day_orders:
        yield f"the day's orders are {count}, more than {limits.day_orders}"


def _all_accounts(plan: Plan, limits: Limits, everywhere: Traded) -> Iterator[str]:
    if not plan.orders:
        return
    day = Usd(_notional(plan) + everywhere.notional)
    if day > limits.all_day_usd:
        yield f"the day's trades of all accounts are {cents(day)} USD, more than {limits.all_day_usd:f}"
    count = len(plan.orders) + everywhere.orders
    if count > limits.all_day_orders:
        yield f"the day's orders of all accounts are {count}, more than {limits.all_day_orders}"


def far_prices(plan: Plan, quotes: Mapping[str, Quote], limits: Limits, collar: Ratio) -> Iterator[str]:
    """What speaks against orders whose limit, ``collar`` beyond the quote, is far from the last price."""
    for order in plan.orders:
        last = quotes[order.symbol].last
        if last is None or last <= 0:
            continue
        price = order.price * (ONE + collar if order.side is Side.BUY else ONE - collar)
        if abs(price / last - ONE) > limits.from_last:
            allowed = percent_text(limits.from_last)
            yield f"{_named(order)} at {price:.4f} USD is more than {allowed} from the last {last}"


def _notional(plan: Plan) -> Usd:
    return Usd(sum((order.notional for order in plan.orders), ZERO))


def _of_equity(amount: Usd, plan: Plan) -> str:
    return f"{percent_text(Ratio(amount / plan.equity))} of equity"


def _named(order: ProposedOrder) -> str:
    return f"{order.side} {order.quantity} {order.symbol}"


def _tighter(general: Unit, own: Unit | None) -> Unit:
    return general if own is None else min(general, own)
