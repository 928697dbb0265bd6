"""One order told from its intent to its last fill, in the order of cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from api.web import words
from rebalancer.domain.currencies import USD, CurrencyPair
from rebalancer.domain.money import ZERO
from rebalancer.ledger.queries.event_history import FillView, OrderView, ReportView
from rebalancer.planning.conversion import every_order

Kind = Literal["sent", "report", "trouble", "fill"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that became of an order."""

    at: datetime
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class OrderStory:
    """An order with its money in USD.

    Attributes:
        slippage: what its fills cost more (+) or less than planned; ``None`` without fills.
        took: from its intent until the broker had nothing left of it; ``None`` while it has.
        troubles: what the broker said with a code.
        moments: intent, reports and fills; a fill stands before the report that counts it, whatever its clock says:
            the broker's has whole seconds, ours microseconds.
    """

    order: OrderView
    slippage: Decimal | None
    took: timedelta | None
    troubles: tuple[str, ...]
    moments: tuple[Moment, ...]


def order_story(order: OrderView) -> OrderStory:
    """Tell one order."""
    return OrderStory(
        order=order,
        slippage=slippage(order),
        took=_took(order),
        troubles=tuple(dict.fromkeys(_said(report) for report in order.reports if report.code)),
        moments=tuple(_moments(order)),
    )


def slippage(order: OrderView) -> Decimal | None:
    """USD that the fills cost more (+) or less than the price that was planned with."""
    if order.average_price is None:
        return None
    filled = sum((fill.quantity for fill in order.fills), ZERO)
    worse = order.average_price - order.planned_price
    pair = CurrencyPair.read(order.symbol)
    in_dollars = worse / order.average_price if pair and pair.first == USD else worse
    return filled * (in_dollars if order.side == "BUY" else -in_dollars)


def to_come(plan: dict[str, Any] | None, orders: Sequence[OrderView]) -> tuple[dict[str, Any], ...]:
    """Orders of a plan that have not been sent; buys are sized anew from what the sells bring."""
    sent = {(order.side, order.symbol) for order in orders}
    return tuple(one for one in every_order(plan or {}) if (one["side"], one["symbol"]) not in sent)


def _took(order: OrderView) -> timedelta | None:
    filled = (report.at for report in order.reports if report.filled and not report.remaining)
    ended = next(filled, order.final_at)
    return None if ended is None else max(ended - order.created_at, timedelta())


def _moments(order: OrderView) -> Iterator[Moment]:
    limit = f", {words.price(order.limit_price, order.symbol)} or better" if order.limit_price is not None else ""
    yield Moment(order.created_at, "sent", f"Sent: {order.order_type} {order.time_in_force}{limit}")
    fills = iter(order.fills)
    counted = ZERO
    for report in order.reports:
        while counted < report.filled and (fill := next(fills, None)) is not None:
            counted += fill.quantity
            yield _filled(fill, order.symbol)
        yield Moment(report.at, "trouble" if report.code else "report", _said(report))
    yield from (_filled(fill, order.symbol) for fill in fills)


def _said(report: ReportView) -> str:
    said = " ".join(str(part) for part in (report.code, report.text) if part)
    return f"{report.status}: {said}" if said else report.status


def _filled(fill: FillView, symbol: str) -> Moment:
    paid = words.money(fill.commission) if fill.currency in {None, USD} else f"{fill.commission:.2f} {fill.currency}"
    fee = f", commission {paid}" if fill.commission is not None else ""
    return Moment(fill.at, "fill", f"Filled {words.quantity(fill.quantity)} at {words.price(fill.price, symbol)}{fee}")
