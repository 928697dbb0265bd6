"""What decides whether the dollars that a plan leaves idle go back into the base currency, where the account's owner
wants that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rebalancer.domain.accounts import Fx
from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.orders import OpenOrder
from rebalancer.domain.portfolio import AccountSnapshot
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.units import NO_USD, Usd
from rebalancer.planning.buying_power import available_cash, has_margin
from rebalancer.planning.conversion_terms import BackTerms
from rebalancer.usecases.context import RunContext
from rebalancer.usecases.observation import View


def back_terms(context: RunContext, view: View, *, cover: Usd, left_alone: Mapping[str, str]) -> BackTerms | None:
    """What decides on idle dollars; ``None`` where they stay dollars.

    Args:
        cover: what would buy back shorts that were set apart, USD.
        left_alone: symbols that the plan leaves alone, with the reason.
    """
    if context.account.rules.fx_back is not Fx.CONVERT:
        return None
    wanted = {entry.symbol for entry in view.weights if entry.weight}
    reasons = tuple(_reasons(context, wanted & left_alone.keys()))
    return BackTerms(
        dollars=free_dollars(view.snapshot, cover),
        proceeds_pay=has_margin(view.snapshot),
        waits=(*reasons, *_pending(order for order in view.open_orders if not view.tradable(order))),
        waits_untraded=(*reasons, *_pending(view.open_orders)),
    )


def free_dollars(now: AccountSnapshot, cover: Usd) -> Usd:
    """USD that may be given away now; without margin only what has settled.

    Args:
        cover: what would buy back shorts that were set apart, USD.
    """
    dollars = available_cash(now)
    if not has_margin(now):
        dollars = min(dollars, NO_USD if now.settled_cash is None else now.settled_cash)
    return Usd(dollars - cover)


def _reasons(context: RunContext, left_alone: set[str]) -> Iterator[str]:
    """Why dollars may be needed yet, or it is not the time, in words."""
    if context.rules.kind is not RebalanceMode.FULL:
        yield f"this is a {context.rules.kind} rebalance"
    if left_alone:
        yield f"{', '.join(sorted(left_alone))} are targets that are left alone"
    if any(CurrencyPair.read(order.symbol) for order in context.run.orders()):
        yield "this run has converted for its buys"
    if context.run.cash_planned():
        yield "cash is to be there by a day"


def _pending(orders: Iterable[OpenOrder]) -> Iterator[str]:
    if symbols := {order.symbol for order in orders}:
        yield f"{', '.join(sorted(symbols))} have open orders"
