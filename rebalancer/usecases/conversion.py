"""The order between a plan's sells and its buys that brings the dollars which the buys lack; and the one after all
others, which gives away dollars that nothing needs.
"""

from __future__ import annotations

from dataclasses import replace

from rebalancer.domain.portfolio import AccountSnapshot
from rebalancer.domain.units import Usd
from rebalancer.planning.buying_power import PricedOrder
from rebalancer.planning.conversion import lacking, order_for
from rebalancer.planning.conversion_back import back_limit, idle_dollars, order_back
from rebalancer.usecases.context import RunContext
from rebalancer.usecases.decision import Decision
from rebalancer.usecases.exchange import read_exchange
from rebalancer.usecases.idle_dollars import free_dollars
from rebalancer.usecases.order_batch import Batch, Trading
from rebalancer.usecases.snapshots import known_books, snapshot_showing


def convert(context: RunContext, trading: Trading, decision: Decision) -> Batch:
    """Send the plan's conversion at a fresh quote, or less where the sells brought more; never more than was shown. One
    that does not end in time is cancelled, and what it filled is on record: the buys are sized from the dollars that
    are there.

    Raises:
        Refused, QuoteUnavailable: the currencies are not quoted credibly any more; nothing was converted or bought.
        NotNow, GatewayUnavailable: see :meth:`Trading.send`.
    """
    if decision.conversion is None:
        return Batch()
    now = decision.snapshot
    if decision.plan.sells:
        now = decision.view.marked(snapshot_showing(context, known_books(context)))
    exchange = read_exchange(context, now)
    needed = lacking(replace(decision.plan, sells=()), Usd(now.cash - decision.left.cover))
    order = exchange and order_for(needed, exchange)
    if not exchange or not order:
        return Batch()
    order = replace(order, quantity=min(order.quantity, decision.conversion.quantity))
    return trading.see_out([PricedOrder(order, exchange.limit(order))], {order.symbol: exchange.instrument})


def convert_back(context: RunContext, trading: Trading, decision: Decision, after: AccountSnapshot) -> AccountSnapshot:
    """Send the plan's conversion back at a fresh quote, once the account holds its targets: nothing of the run follows
    it. Never more than was shown, and never dollars that are not there. What does not fill is left to another run.

    Args:
        after: the account with everything that the run has traded.

    Returns:
        The account with that, too.

    Raises:
        Refused, QuoteUnavailable: the currencies are not quoted credibly any more; nothing was converted.
        OrderRejected: the broker has refused it for good.
        NotNow, GatewayUnavailable: see :meth:`Trading.send`.
    """
    if decision.back is None or context.run.cash_planned():
        return after
    now = decision.view.marked(snapshot_showing(context, known_books(context))) if trading.begun else after
    exchange = read_exchange(context, now)
    rest = replace(decision.plan, sells=(), buys=())
    idle = idle_dollars(rest, free_dollars(now, decision.left.cover))
    order = exchange and order_back(idle, rest.equity, exchange)
    if not exchange or not order:
        return after
    order = replace(order, quantity=min(order.quantity, decision.back.quantity))
    batch = trading.see_out([PricedOrder(order, back_limit(exchange))], {order.symbol: exchange.instrument})
    if batch.rejections:
        raise batch.rejections[0]
    return decision.view.marked(snapshot_showing(context, known_books(context), pushed=True))
