"""Whether a plan converts the dollars that it leaves idle back into the base currency, where the account's owner wants
that; else why not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rebalancer.domain.accounts import Fx
from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.money import cents
from rebalancer.domain.portfolio import AccountSnapshot, Plan, ProposedOrder
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.units import NO_USD, Usd
from rebalancer.planning.buying_power import available_cash, has_margin
from rebalancer.planning.conversion import Exchange
from rebalancer.planning.conversion_back import plan_back
from rebalancer.planning.inputs import PlanInputs
from rebalancer.planning.parked_reserve import ParkedPlan
from rebalancer.usecases.context import RunContext
from rebalancer.usecases.observation import View


@dataclass(frozen=True, slots=True)
class WayBack:
    """A plan, and what of its dollars goes back.

    Attributes:
        made: with the cost of ``order``, if there is one.
        notes: for a person.
    """

    made: ParkedPlan
    order: ProposedOrder | None = None
    notes: tuple[str, ...] = ()


def way_back(
    context: RunContext,
    view: View,
    inputs: PlanInputs,
    made: ParkedPlan,
    *,
    exchange: Exchange | None,
    cover: Usd,
    left_alone: Mapping[str, str],
) -> WayBack:
    """The plan ``made``, or the same with the dollars converted back that it leaves idle.

    Args:
        exchange: of a plan that converts nothing for its buys.
        cover: what would buy back shorts that were set apart, USD.
        left_alone: symbols that the plan leaves alone, with the reason.

    Raises:
        Refused, QuoteUnavailable: as :func:`~rebalancer.planning.inputs.plan_of`.
    """
    if exchange is None or context.account.rules.fx_back is not Fx.CONVERT:
        return WayBack(made)
    dollars, proceeds_pay = free_dollars(view.snapshot, cover), has_margin(view.snapshot)
    paid, order = plan_back(inputs, made, exchange, dollars=dollars, proceeds_pay=proceeds_pay)
    if order is None:
        return WayBack(made)
    usd, wanted = cents(exchange.dollars(order)), {entry.symbol for entry in view.weights if entry.weight}
    if why := "; ".join(_not_yet(context, view, made.plan, wanted & left_alone.keys())):
        return WayBack(made, notes=(f"{usd} USD that lie idle are not converted back: {why}",))
    return WayBack(paid, order, (f"{usd} USD are converted back into {exchange.base.currency}: {order.reason}",))


def free_dollars(now: AccountSnapshot, cover: Usd) -> Usd:
    """USD that may be given away now; without margin only what has settled.

    Args:
        cover: what would buy back shorts that were set apart, USD.
    """
    dollars = available_cash(now)
    if not has_margin(now):
        dollars = min(dollars, NO_USD if now.settled_cash is None else now.settled_cash)
    return Usd(dollars - cover)


def _not_yet(context: RunContext, view: View, plan: Plan, left_alone: set[str]) -> Iterator[str]:
    """Why dollars may be needed yet, or it is not the time, in words."""
    if context.rules.kind is not RebalanceMode.FULL:
        yield f"this is a {context.rules.kind} rebalance"
    if left_alone:
        yield f"{', '.join(sorted(left_alone))} are targets that are left alone"
    pending = [order for order in view.open_orders if not (plan.orders and view.tradable(order))]
    if pending:
        yield f"{', '.join(sorted({order.symbol for order in pending}))} have open orders"
    if any(CurrencyPair.read(order.symbol) for order in context.run.orders()):
        yield "this run has converted for its buys"
    if context.run.cash_planned():
        yield "cash is to be there by a day"
