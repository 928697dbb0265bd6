"""Removing a running event stops it between its steps, never in the middle of an order."""

from __future__ import annotations

from rebalancer.domain.commands import Command
from rebalancer.domain.order_states import OrderStatus
from rebalancer.services import Services
from tests.world import World, until


def test_a_removed_run_sends_no_further_order_and_leaves_none_open(slow: World) -> None:
    slow.start_worker()
    slow.start_beat()
    event_id = slow.submit("DU1000007", Command.REBALANCE)
    until(lambda: bool(slow.gateway.do(lambda gateway: gateway.orders)))
    Services.of(slow.settings).dispatcher.remove(event_id, "by the test")
    until(lambda: slow.event(event_id).state == "removed")
    orders = slow.gateway.do(lambda gateway: [(order.side, OrderStatus(order.status)) for order in gateway.orders])
    assert {side for side, _ in orders} == {"SELL"}, "no buy after the removal"
    assert all(status.final for _, status in orders)

    again = slow.submit("DU1000007", Command.REBALANCE)
    assert again != event_id
    slow.finish(again)
    left = slow.finish(slow.submit("DU1000007", Command.PRINT_REBALANCE)).result
    assert left is not None
    assert left["orders"] == []
