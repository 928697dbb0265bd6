"""Everything that may keep an order, its change or its cancel from being taken, in the order in which one looks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.gateway.behaviour import Behaviour
from sandbox.gateway.checks import (
    OrderChecks,
    Refusal,
    refuse_cancel,
    refuse_change,
    refuse_cost,
    refuse_order,
    refuse_ticket,
)
from sandbox.gateway.exchange_events import Order
from sandbox.gateway.hours import Hours
from sandbox.gateway.order_styles import held_to_the_close, refuse_late, refuse_style
from sandbox.gateway.tickets import Ticket


class EntryChecks:
    """Rules of the gateway, of the order's style, and what the behaviour adds to them."""

    def __init__(self, checks: OrderChecks, hours: Hours, clock: Callable[[], datetime], behaviour: Behaviour) -> None:
        self._checks = checks
        self._hours = hours
        self._clock = clock
        self._behaviour = behaviour

    def ticket(self, ticket: Ticket) -> Refusal | None:
        """Why an order is not taken at all; it then never reaches the book."""
        listing = self._checks.market.find(ticket.contract)
        refusal = refuse_ticket(self._checks, ticket) or refuse_style(ticket, listing, self._clock())
        return refusal or self._behaviour.style_refusal(ticket)

    def order(self, order: Order) -> Refusal | None:
        """Why a well-formed order is rejected."""
        listing = self._checks.market.listing(order.symbol)
        return refuse_order(self._checks, order) or refuse_late(order, listing, self._time_left())

    def change(self, order: Order, changed: Order) -> Refusal | None:
        """Why an order cannot become another one."""
        ticket = changed.ticket
        refusal = refuse_change(self._checks, order, ticket) or self.ticket(ticket)
        return refusal or refuse_cost(self._checks, order, changed)

    def cancel(self, order_id: int, order: Order | None) -> Refusal | None:
        """Why a cancel changes nothing; ``order`` is what its number names."""
        refusal = refuse_cancel(self._checks, order_id, order)
        if order is None:
            return refusal
        return refusal or self.held(order) or self._behaviour.cancel_refusal(order)

    def held(self, order: Order) -> Refusal | None:
        """Why an order for the closing auction cannot be cancelled any more."""
        return held_to_the_close(order, self._time_left())

    def _time_left(self) -> timedelta | None:
        """Until the session's close; ``None`` while there is none that ends."""
        now = self._clock()
        close = self._hours.close_of(now)
        return None if close is None else close - now
