"""The closing auction: what waits for it, and what becomes of that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from rebalancer.domain.order_states import OrderStatus
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.exchange_events import Order
from sandbox.gateway.hours import Hours
from sandbox.gateway.order_styles import ON_CLOSE


class ClosingAuction:
    """Market-on-close and limit-on-close orders rest until the close of their session.

    Args:
        fill: fills an order at the closing price, as far as it can be.
        end: ends what is left of it.
    """

    def __init__(
        self,
        book: Book,
        hours: Hours,
        clock: Callable[[], datetime],
        fill: Callable[[Order], None],
        end: Callable[[int], None],
    ) -> None:
        self._book = book
        self._hours = hours
        self._clock = clock
        self._fill = fill
        self._end = end

    def hold_due(self) -> None:
        """For orders whose close has come."""
        for order in self._waiting():
            close = self._hours.close_after(order.placed_at)
            if close is not None and close <= self._clock():
                self._hold(order)

    def hold(self) -> int:
        """For all, whatever the clock says; how many took part."""
        waiting = self._waiting()
        for order in waiting:
            self._hold(order)
        return len(waiting)

    def _waiting(self) -> list[Order]:
        """Those that have been transmitted, and not refused."""
        known = [one for one in self._book.open_orders() if one.status is not OrderStatus.API_PENDING]
        return [one for one in known if one.ticket.order_type in ON_CLOSE and not one.rejected]

    def _hold(self, order: Order) -> None:
        self._fill(order)
        self._end(order.perm_id)
