"""When an accepted order fills by its style, in which pieces, and at which price; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import OrderType, Side
from sandbox.gateway.fill_rules import AdaptiveScan, Fills
from sandbox.gateway.market import Quote
from sandbox.gateway.order_styles import ADAPTIVE, VWAP, time_of
from sandbox.gateway.scenario import Orders
from sandbox.gateway.tickets import Ticket

Pieces = Sequence[tuple[float, Decimal]]
"""Seconds from now, and shares that may fill from then on."""
_FINEST = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Schedule:
    """How an order is worked.

    Attributes:
        ends_after_s: when what remains of it is cancelled, if that is before its day ends; ``reason`` says why.
    """

    pieces: Pieces
    ends_after_s: float | None = None
    reason: str = ""


def schedule(ticket: Ticket, pieces: Pieces, now: datetime, close: datetime | None, settings: Orders) -> Schedule:
    """The scenario's ``pieces`` of a plain order, as the order's own style has them.

    Args:
        close: end of the session, ``None`` where it has none.
    """
    if ticket.algo_strategy == ADAPTIVE:
        wait_s = float(_scan(ticket, settings).delay_ms) / 1000
        return Schedule([(delay_s + wait_s, quantity) for delay_s, quantity in pieces])
    if ticket.algo_strategy == VWAP:
        return _sliced(ticket, sum((quantity for _, quantity in pieces), ZERO), now, close, settings.vwap_slices)
    return Schedule(pieces)


def _sliced(ticket: Ticket, total: Decimal, now: datetime, close: datetime | None, slices: int) -> Schedule:
    """Equal slices between start and end. Without an end until the close; where there is none, at once."""
    start = max(time_of(ticket, "startTime", now) or now, now)
    if close is not None and start >= close:
        return Schedule((), 0.0, f"{VWAP}: start time is after close time")
    asked = time_of(ticket, "endTime", now)
    if asked is not None and asked <= start:
        return Schedule((), 0.0, f"{VWAP}: end time is before start time")
    end = min((one for one in (asked, close) if one is not None), default=start)
    first_s, span_s = (start - now).total_seconds(), (end - start).total_seconds()
    every_ms = Decimal(span_s * 1000 / slices)
    rule = Fills(mode="partial", slices=slices, delay_ms=Decimal(first_s * 1000) + every_ms / 2, interval_ms=every_ms)
    stays = asked is None or dict(ticket.algo_params).get("allowPastEndTime") == "1"
    return Schedule(rule.plan(total), None if stays else first_s + span_s, f"{VWAP}: end time has passed")


def offered(ticket: Ticket, side: Side, quote: Quote, settings: Orders) -> Decimal:
    """USD per share at which the market would fill the order now, if its limit allows."""
    if ticket.order_type == OrderType.MIDPRICE or ticket.algo_strategy == VWAP:
        return quote.mark
    if ticket.algo_strategy != ADAPTIVE:
        return quote.price_for(side)
    far, limit = quote.price_for(side), ticket.limit
    scanned = (quote.mark + (far - quote.mark) * _scan(ticket, settings).far_share).quantize(_FINEST)
    if limit is None:
        return scanned
    # It looks no further than its limit, and fills there if that is beyond the mid.
    return max(quote.mark, min(scanned, limit)) if side is Side.BUY else min(quote.mark, max(scanned, limit))


def within_limit(ticket: Ticket, side: Side, price: Decimal) -> bool:
    """Whether the order may fill at that price."""
    limit = ticket.limit
    if limit is None:
        return True
    return price <= limit if side is Side.BUY else price >= limit


def _scan(ticket: Ticket, settings: Orders) -> AdaptiveScan:
    return settings.adaptive.of(dict(ticket.algo_params).get("adaptivePriority", "Normal"))
