"""How an order may be worked beside at once: order types and algorithms, when they are refused, how they are told.

Codes and texts of algorithms are those that gateways were seen to give (docs/broker-facts.md, "Order styles").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal
from zoneinfo import ZoneInfo

from rebalancer.domain.portfolio import OrderType
from sandbox.gateway.checks import REJECTED, Refusal
from sandbox.gateway.exchange_events import Order
from sandbox.gateway.hours import ZONE, ZONE_NAME
from sandbox.gateway.market import Listing, exchange_name
from sandbox.gateway.tickets import Ticket
from sandbox.gateway.timekeeping import moment

ON_CLOSE = frozenset({OrderType.MARKET_ON_CLOSE, OrderType.LIMIT_ON_CLOSE})
OF_STOCKS = ON_CLOSE | {OrderType.MIDPRICE}
"""Types beside market and limit orders: of US stocks, for the day, in regular hours."""
ADAPTIVE, VWAP = "Adaptive", "Vwap"
_PLAIN = frozenset({OrderType.MARKET, OrderType.LIMIT})
_LEAST_SHARE, _GREATEST_SHARE = Decimal("0.01"), Decimal("50.0")
_CANCEL_CUTOFF = _CUTOFF = timedelta(minutes=10)
_NASDAQ_CUTOFFS = {
    OrderType.MARKET_ON_CLOSE: timedelta(minutes=5),
    OrderType.LIMIT_ON_CLOSE: timedelta(minutes=2),
}


@dataclass(frozen=True, slots=True)
class _Attribute:
    """A parameter of an algorithm, by its kind."""

    kind: Literal["flag", "time", "number", "choice"]
    label: str = ""
    choices: frozenset[str] = frozenset()


_DEFINITIONS: Mapping[str, Mapping[str, _Attribute]] = {
    ADAPTIVE: {"adaptivePriority": _Attribute("choice", choices=frozenset({"Urgent", "Normal", "Patient"}))},
    VWAP: {
        "noTakeLiq": _Attribute("flag"),
        "allowPastEndTime": _Attribute("flag"),
        "startTime": _Attribute("time"),
        "maxPctVol": _Attribute("number", "Max Percentage"),
        "endTime": _Attribute("time"),
    },
}
"""Parameters by algorithm, in the order in which an open order tells them."""


def refuse_style(ticket: Ticket, listing: Listing | None, now: datetime) -> Refusal | None:
    """Why an order that is otherwise well-formed cannot be worked in this way; it then never reaches the book."""
    special = ticket.order_type in OF_STOCKS or bool(ticket.algo_strategy)
    if special and listing is not None and not listing.stock:
        return Refusal(387, "Unsupported order type for this exchange and security type.")
    if special and ticket.time_in_force not in ("", "DAY"):
        return Refusal(111, "The TIF (time in force) and the order type are incompatible.")
    return _refuse_algorithm(ticket, now) if ticket.algo_strategy else None


def _refuse_algorithm(ticket: Ticket, now: datetime) -> Refusal | None:
    known = _DEFINITIONS.get(ticket.algo_strategy)
    if known is None:
        return Refusal(439, "Order processing failed. Algorithm definition not found")
    if ticket.order_type not in _PLAIN:
        return Refusal(442, "Specified algorithm is not allowed for this order.")
    for tag, value in ticket.algo_params:
        if tag not in known:
            return Refusal(443, f"Order processing failed. Unknown algo attribute:{tag}")
        refusal = _unreadable(known[tag], tag, value, now)
        if refusal:
            return refusal
    return next((wrong for tag, value in ticket.algo_params if (wrong := _illegal(known[tag], value))), None)


def _unreadable(attribute: _Attribute, tag: str, value: str, now: datetime) -> Refusal | None:
    if attribute.kind == "time" and value and moment(value, now, ZONE) is None:
        form = "yyyymmdd hh:mm:ss xx/xxxx where yyyymmdd and xx/xxxx are optional"
        wrong = f"{tag}: The date, time, or time-zone entered is invalid."
        return Refusal(10314, f"{wrong}\nThe correct format is {form}. E.g.: 20031126 15:59:00 US/Eastern")
    if attribute.kind == "number" and _number(value) is None:
        return Refusal(441, f"Algo attributes validation failed:{tag}={value}")
    return None


def _illegal(attribute: _Attribute, value: str) -> Refusal | None:
    if attribute.kind == "choice" and value not in attribute.choices:
        return Refusal(145, f"Error in validating entry fields -{value}")
    share = _number(value) if attribute.kind == "number" else None
    if share is None or _LEAST_SHARE <= share <= _GREATEST_SHARE:
        return None
    what = f"less than minimum value {_LEAST_SHARE}" if share < _LEAST_SHARE else None
    what = what or f"greater than maximum value {_GREATEST_SHARE}"
    return Refusal(441, f"Algo attributes validation failed: '{attribute.label}' is invalid: Value is {what}.. ")


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def refuse_late(order: Order, listing: Listing, left: timedelta | None) -> Refusal | None:
    """An order for the closing auction that comes too late for it.

    Args:
        left: until the close; ``None`` while there is no session that ends.
    """
    kind = order.ticket.order_type
    if kind not in ON_CLOSE or left is None:
        return None
    exchange = exchange_name(listing.spec.exchange)
    cutoff = _NASDAQ_CUTOFFS[OrderType(kind)] if exchange == "NASDAQ" else _CUTOFF
    if left > cutoff:
        return None
    late = f"{kind} orders are not accepted by {exchange} in the last {cutoff.seconds // 60} minutes before the close"
    return Refusal(REJECTED, f"Order rejected - reason:{late}")


def held_to_the_close(order: Order, left: timedelta | None) -> Refusal | None:
    """Why an order for the closing auction cannot be cancelled any more."""
    if order.ticket.order_type not in ON_CLOSE or left is None or left > _CANCEL_CUTOFF:
        return None
    number = order.order_id
    return Refusal(10148, f"OrderId {number} that needs to be cancelled can not be cancelled, state: {order.status}.")


def undated(ticket: Ticket, now: datetime) -> bool:
    """Whether a time of its algorithm names no zone."""
    times = (moment(value, now, ZONE) for tag, value in ticket.algo_params if _kind(ticket, tag) == "time")
    return any(found is not None and not found.zoned for found in times)


def algorithm_fields(order: Order) -> Iterator[object]:
    """algoStrategy to the last of its parameters, as openOrder and completedOrder have them: in IBKR's own order, times
    in New York's.
    """
    ticket = order.ticket
    yield ticket.algo_strategy
    if ticket.algo_strategy:
        given = dict(ticket.algo_params)
        yield len(given)
        for tag in _DEFINITIONS[ticket.algo_strategy]:
            if tag in given:
                yield tag
                yield _told(ticket, tag, given[tag], order.placed_at)


def _told(ticket: Ticket, tag: str, value: str, placed_at: datetime) -> str:
    found = moment(value, placed_at, ZONE) if _kind(ticket, tag) == "time" else None
    return value if found is None else f"{found.at.astimezone(ZONE):%Y%m%d %H:%M:%S} {ZONE_NAME}"


def _kind(ticket: Ticket, tag: str) -> str:
    return _DEFINITIONS[ticket.algo_strategy][tag].kind


def time_of(ticket: Ticket, tag: str, now: datetime, local: ZoneInfo = ZONE) -> datetime | None:
    """A time of its algorithm; ``None`` where it says none."""
    found = moment(dict(ticket.algo_params).get(tag, ""), now, local)
    return None if found is None else found.at
