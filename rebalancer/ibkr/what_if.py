"""Asks the broker what an order would do to the margin, without sending it to an exchange."""

from __future__ import annotations

import asyncio

from rebalancer.domain.errors import Refused
from rebalancer.domain.orders import MarginChange, OrderRequest
from rebalancer.domain.rule_names import Rule
from rebalancer.ibkr import mapping
from rebalancer.ibkr.codes import classify
from rebalancer.ibkr.messages import ErrorMessage, Message, WhatIfMessage
from rebalancer.ibkr.session import GatewaySession


async def what_if(session: GatewaySession, request: OrderRequest, timeout_s: float) -> MarginChange | None:
    """The answer, or ``None`` if there is none in time; gateways send one without margins first, or none at all.

    Raises:
        Refused: ``what_if_refused``.
    """
    order = mapping.ib_order(request)
    order.whatIf = True
    order_id = session.new_order_id()
    answer: asyncio.Future[MarginChange | Refused] = asyncio.get_running_loop().create_future()

    def on_message(message: Message) -> None:
        if answer.done():
            return
        if isinstance(message, WhatIfMessage) and message.order_id == order_id and message.change is not None:
            answer.set_result(message.change)
        elif isinstance(message, ErrorMessage) and message.request_id == order_id and classify(message.code).permanent:
            answer.set_result(_refusal(request, message))

    with session.ib.listener(on_message):
        session.ib.protocol.placeOrder(order_id, mapping.stock(request.symbol, request.contract_id), order)
        await asyncio.wait((answer,), timeout=timeout_s)
    if not answer.done():
        return None
    found = answer.result()
    if isinstance(found, Refused):
        raise found
    return found


def _refusal(request: OrderRequest, error: ErrorMessage) -> Refused:
    what = f"{request.side} {request.quantity} {request.symbol}"
    numbers = {"symbol": request.symbol, "quantity": str(request.quantity), "code": str(error.code)}
    return Refused(Rule.WHAT_IF_REFUSED, f"the broker would refuse {what}, code {error.code}: {error.text}", numbers)
