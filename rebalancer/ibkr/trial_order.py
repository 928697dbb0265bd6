"""One order that cannot fill, to see whether orders come through: sent, acknowledged, cancelled, verified gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from rebalancer.domain.orders import OrderRequest, OrderUpdate, StatusUpdate
from rebalancer.ibkr import asking, mapping
from rebalancer.ibkr.messages import Message
from rebalancer.ibkr.options import BrokerOptions
from rebalancer.ibkr.session import GatewaySession
from rebalancer.ibkr.watch import OrderWatch


@dataclass(frozen=True, slots=True)
class OrderTrial:
    """What became of it.

    Attributes:
        acknowledged: the broker took it.
        remark: code and text, if the broker said anything else of it.
        listed: it is still open, although it was cancelled.
        filled: shares, which should be none.
    """

    acknowledged: bool
    remark: str | None
    listed: bool
    filled: Decimal


async def try_order(session: GatewaySession, request: OrderRequest, options: BrokerOptions) -> OrderTrial:
    """Send, wait for a word, cancel by number, wait for the end, and look at the broker's lists."""
    watch = OrderWatch(session.client_id)
    updates: list[OrderUpdate] = []
    changed = asyncio.Event()

    def on_message(message: Message) -> None:
        updates.extend(watch.feed(message))
        changed.set()

    order_id = session.new_order_id()
    session.orders[order_id] = request
    with session.ib.listener(on_message):
        watch.place(order_id, request, datetime.now(UTC))
        session.ib.protocol.placeOrder(
            order_id, mapping.stock(request.symbol, request.contract_id), mapping.ib_order(request)
        )
        await _until(changed, lambda: watch.accepted or watch.ended, options.ack_timeout_s)
        acknowledged, remark = watch.accepted, _remark(updates)
        session.ib.protocol.cancelOrder(order_id, "")
        if acknowledged:
            await _until(changed, lambda: watch.ended, options.cancel_timeout_s)
        listed = {order.order_ref for order in await asking.open_orders(session)}
        done = await asking.executions(session, request.account_id)
    filled = sum((one.fill.quantity for one in done if one.fill.order_ref == request.order_ref), Decimal(0))
    return OrderTrial(acknowledged, remark, request.order_ref in listed, filled)


async def _until(changed: asyncio.Event, condition: Callable[[], bool], timeout_s: float) -> None:
    """Until messages have made it true, at most ``timeout_s``."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                changed.clear()
                await changed.wait()
    except TimeoutError:
        return


def _remark(updates: list[OrderUpdate]) -> str | None:
    spoken = [one for one in updates if isinstance(one, StatusUpdate) and one.code is not None]
    return f"code {spoken[-1].code}: {spoken[-1].text}" if spoken else None
