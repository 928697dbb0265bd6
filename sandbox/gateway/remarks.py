"""What IBKR remarks about an order that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rebalancer.domain.portfolio import OrderType
from sandbox.gateway.checks import Refusal
from sandbox.gateway.hours import ZONE, Hours
from sandbox.gateway.order_styles import OF_STOCKS, undated
from sandbox.gateway.scenario import Instrument
from sandbox.gateway.tickets import Ticket

_REGULAR_HOURS = OF_STOCKS | {OrderType.MARKET}


def remarks(
    ticket: Ticket, spec: Instrument, hours: Hours, now: datetime, *, warn_unset_tif: bool
) -> Iterator[Refusal]:
    """Codes and texts; none of them refuses the order."""
    if not ticket.time_in_force and warn_unset_tif:
        yield Refusal(10349, "Order TIF was set to DAY based on order preset.")
    if ticket.outside_hours and ticket.order_type in _REGULAR_HOURS:
        yield Refusal(2109, "Order Event Warning:Attribute 'Outside Regular Trading Hours' is ignored.")
    if ticket.algo_strategy and undated(ticket, now):
        yield Refusal(2174, "Warning: You submitted request with date-time attributes without explicit time zone.")
    if ticket.quantity < spec.odd_lot_below:
        what = f"{ticket.action} {ticket.quantity:f} {spec.symbol}.{spec.currency} Forex"
        least = f"{spec.symbol} {spec.odd_lot_below:f}"
        text = f"Your order size is below the {least} IdealPro minimum and will be routed as an odd lot order."
        yield Refusal(399, f"Order Message:\n{what}\nWarning: {text}")
    if not hours.is_open(now):
        opens = hours.next_open(now).astimezone(ZONE)
        text = f"will not be placed at the exchange until {opens:%Y-%m-%d %H:%M:%S} US/Eastern."
        yield Refusal(399, f"Order Message:\nWarning: Your order {text}")
