"""In which order a gateway tells the life of an order; pure.

``orderly`` is what the documents suggest. ``captured`` is what recorded traffic of real gateways shows: a market order
is Submitted at once, told again with its commission when it is filled; Cancelled comes before its 202; a rejected order
is Inactive before and after its 201, never Cancelled and in no list. ``filled_first`` is the same with the status
before the execution, as one capture has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.portfolio import OrderType
from sandbox.gateway.exchange_events import Commissioned, Event, Executed, Order, OrderChanged, OrderNotice

Kind = Literal["orderly", "captured", "filled_first"]


@dataclass(frozen=True, slots=True)
class OrderLife:
    """One of the three kinds."""

    kind: Kind

    @property
    def orderly(self) -> bool:
        """As the documents suggest."""
        return self.kind == "orderly"

    def submitted(self, events: Sequence[Event]) -> Sequence[Event]:
        """An order began to work: of a market order often only one of the two first statuses is told."""
        return [event for event in events if self.orderly or not _at_market(event)]

    def filled(self, events: Sequence[Event]) -> Sequence[Event]:
        """A fill, as the book tells it."""
        return events if self.orderly else list(self._filled(events))

    def _filled(self, events: Sequence[Event]) -> Iterator[Event]:
        executed = [event for event in events if isinstance(event, Executed)]
        if self.kind == "captured":
            yield from executed
        for event in events:
            if isinstance(event, OrderChanged):
                yield event
                yield from executed if self.kind == "filled_first" else ()
            elif isinstance(event, Commissioned):
                yield from _again(events)
                yield event
            elif not isinstance(event, Executed):
                yield event

    def cancelled(self, notice: OrderNotice, ended: Sequence[Event]) -> Sequence[Event]:
        """A cancel is confirmed."""
        return [notice, *ended] if self.orderly else [*ended, notice]

    def rejected(self, notice: OrderNotice, ended: Sequence[Event]) -> Sequence[Event]:
        """An order is refused."""
        if self.orderly:
            return [notice, *ended]
        inactive = [OrderChanged(_inactive(event.order)) for event in ended if isinstance(event, OrderChanged)]
        return [*inactive, notice, *inactive]


def _at_market(event: Event) -> bool:
    return isinstance(event, OrderChanged) and event.order.ticket.order_type == OrderType.MARKET


def _again(events: Sequence[Event]) -> Iterator[Event]:
    for event in events:
        if isinstance(event, OrderChanged) and event.order.status is OrderStatus.FILLED:
            yield replace(event, with_commission=True)


def _inactive(order: Order) -> Order:
    return replace(order, status=OrderStatus.INACTIVE)
