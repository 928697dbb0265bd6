"""What a real run cost: from the sandbox's fills, held against what the gateway says of them and of its quotes."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.costs.shortfall import measure
from rebalancer.costs.summary import together
from rebalancer.domain.commands import Command
from rebalancer.domain.portfolio import Side
from rebalancer.ledger.queries import costs
from rebalancer.ledger.queries.costs import OrderSpan
from rebalancer.ledger.queries.event_history import event_history
from tests.world import World

ACCOUNT = "DU1000003"


def test_a_runs_cost_is_what_was_paid_beyond_the_quotes_that_it_saw(slow: World) -> None:
    slow.start_worker()
    event_id = slow.submit(ACCOUNT, Command.REBALANCE)
    slow.finish(event_id)
    orders = list(costs.sent_orders(slow.ledger, OrderSpan()))
    with slow.ledger.begin() as session:
        found = event_history(session, event_id)
    assert found is not None
    (attempt,) = found.attempts
    assert attempt.inputs is not None
    plainly = Decimal(0)
    for order in attempt.orders:
        quote = attempt.inputs["quotes"][order.symbol]
        mid = (Decimal(quote["bid"]) + Decimal(quote["ask"])) / 2
        sign = 1 if order.side == "BUY" else -1
        plainly += sum(sign * fill.quantity * (fill.price - mid) for fill in order.fills)
        plainly += sum(fill.commission or 0 for fill in order.fills)
    whole = together(orders)
    assert {one.order_ref for one in orders} == {one.order_ref for one in attempt.orders}
    assert {one.side for one in orders} == set(Side)
    assert whole.orders == len(orders)
    assert (whole.shortfall.total, whole.without_quote, whole.incomplete, whole.filled) == (plainly, 0, 0, 1)
    for order in orders:
        assert order.quote is not None
        one = measure(order)
        assert one is not None
        assert one.spread > 0
        assert order.side is Side.BUY or order.sized_at == order.quote.bid
