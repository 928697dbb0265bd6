"""Open orders as the gateway lists them: one openOrder message each, usually followed by an orderStatus."""

from __future__ import annotations

from dataclasses import replace

from rebalancer.domain.orders import OpenOrder
from rebalancer.ibkr.messages import OpenOrderMessage, StatusMessage

Key = tuple[int, int, int]


def _key(order_id: int, client_id: int, perm_id: int) -> Key:
    """Hand-placed orders share the ids 0; the perm id alone tells them apart."""
    return (perm_id, 0, 0) if perm_id else (0, client_id, order_id)


class OpenBook:
    """Collects the messages of one listing; the last word on each order counts."""

    def __init__(self) -> None:
        self._orders: dict[Key, OpenOrder] = {}

    def add(self, message: OpenOrderMessage | StatusMessage) -> None:
        """Take one message in; a status of an order that was not listed is none of ours."""
        if isinstance(message, OpenOrderMessage):
            order = message.order
            key = _key(order.order_id, order.client_id, order.perm_id)
            before = self._orders.get(key)
            self._orders[key] = replace(order, filled=before.filled) if before else order
            return
        key = _key(message.order_id, message.client_id, message.perm_id)
        listed = self._orders.get(key)
        if listed is not None:
            self._orders[key] = replace(listed, status=message.status, filled=message.filled)

    def open_orders(self) -> tuple[OpenOrder, ...]:
        """Those that may still fill."""
        return tuple(order for order in self._orders.values() if order.status.can_fill)
