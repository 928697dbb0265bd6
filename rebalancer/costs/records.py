"""What orders cost, field by field, for whoever shows it; rates are basis points of what was traded."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rebalancer.costs.shortfall import PARTS, SentOrder, Shortfall, measure
from rebalancer.costs.summary import CostSummary

AMOUNTS = ("worth", *PARTS, "cost", "basis_points")
ORDER_COLUMNS = (
    *("at", "account_id", "side", "symbol", "quantity", "filled", "bid", "ask", "sized_at", "average_price"),
    *(*AMOUNTS, "incomplete", "event_id", "attempt", "order_ref"),
)


def summary_record(summary: CostSummary) -> dict[str, Any]:
    """Several orders together; ``worth`` is what was traded, at the arrival prices."""
    spread = summary.percentiles
    return {
        "key": summary.key,
        "orders": summary.orders,
        **_amounts(summary.shortfall),
        "percentiles": spread and {name: _rate(getattr(spread, name)) for name in ("p10", "p50", "p90")},
        "asked": summary.asked,
        "filled": _rate(summary.filled),
        "without_quote": summary.without_quote,
        "incomplete": summary.incomplete,
    }


def order_record(order: SentOrder) -> dict[str, Any]:
    """One order, see :data:`ORDER_COLUMNS`; what cannot be told of it is ``None``."""
    found = measure(order)
    return {
        "at": order.at,
        "account_id": order.account_id,
        "side": order.side,
        "symbol": order.symbol,
        "quantity": order.quantity,
        "filled": order.shares,
        "bid": order.quote and order.quote.bid,
        "ask": order.quote and order.quote.ask,
        "sized_at": order.sized_at,
        "average_price": _rate(order.paid / order.shares if order.shares else None),
        **(_amounts(found) if found else dict.fromkeys(AMOUNTS)),
        "incomplete": order.incomplete,
        "event_id": order.event_id,
        "attempt": order.attempt,
        "order_ref": order.order_ref,
    }


def as_text(record: Mapping[str, Any]) -> dict[str, Any]:
    """The same for JSON that is kept: decimals as text."""
    return {
        name: as_text(value) if isinstance(value, Mapping) else str(value) if isinstance(value, Decimal) else value
        for name, value in record.items()
    }


def _amounts(found: Shortfall) -> dict[str, Decimal | None]:
    parts = {part: getattr(found, part) for part in PARTS}
    return {"worth": found.worth, **parts, "cost": found.total, "basis_points": _rate(found.basis_points())}


def _rate(value: Decimal | None) -> Decimal | None:
    """With four decimals: what is divided has no end."""
    return None if value is None else round(value, 4)
