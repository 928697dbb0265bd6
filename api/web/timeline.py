"""One event told as a story: signal, queued, each attempt, each order, each fill, and the money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from api.web import words
from api.web.drawing import Bar, bars
from rebalancer.domain.money import ZERO
from rebalancer.ledger.queries.event_history import AttemptView, EventHistory, OrderView

Kind = Literal["signal", "event", "attempt", "order", "fill", "trouble", "done"]


@dataclass(frozen=True, slots=True)
class Step:
    """One moment of the story."""

    at: datetime
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class MoneyRow:
    """An order's money, USD; slippage is what its fills cost more (+) or less than planned."""

    order: OrderView
    slippage: Decimal | None


@dataclass(frozen=True, slots=True)
class Story:
    """What the event's page shows; weights are those of the newest attempt that got that far."""

    history: EventHistory
    steps: tuple[Step, ...]
    money: tuple[MoneyRow, ...]
    bought: Decimal
    sold: Decimal
    commission: Decimal
    before: tuple[Bar, ...]
    after: tuple[Bar, ...]
    decided: AttemptView | None


def story(history: EventHistory) -> Story:
    """Tell an event in the order in which it happened."""
    orders = [order for attempt in history.attempts for order in attempt.orders]
    decided = next((attempt for attempt in reversed(history.attempts) if attempt.plan), None)
    return Story(
        history=history,
        steps=tuple(sorted(_steps(history), key=lambda step: step.at)),
        money=tuple(MoneyRow(order, _slippage(order)) for order in orders),
        bought=sum((order.notional for order in orders if order.side == "BUY"), ZERO),
        sold=sum((order.notional for order in orders if order.side == "SELL"), ZERO),
        commission=sum((order.commission for order in orders), ZERO),
        before=bars(decided.before.weights) if decided and decided.before else (),
        after=bars(decided.after.weights) if decided and decided.after else (),
        decided=decided,
    )


def _steps(history: EventHistory) -> Iterator[Step]:
    for signal in history.signals:
        remark = f" ({signal.remark})" if signal.remark else ""
        yield Step(signal.received_at, "signal", f"Signal from {signal.channel}: {signal.command}{remark}")
    yield Step(history.event.created_at, "event", f"Queued: {history.event.exec_command}")
    for attempt in history.attempts:
        yield from _attempt_steps(attempt)
    if history.event.finished_at:
        ended = words.state_word(history.event.state)
        reason = "" if history.event.reason == ended else f": {history.event.reason}"
        yield Step(history.event.finished_at, "done", f"Event {ended}{reason}")


def _attempt_steps(attempt: AttemptView) -> Iterator[Step]:
    yield Step(attempt.started_at, "attempt", f"Attempt {attempt.number} began on {attempt.worker.split('/')[0]}")
    if attempt.plan and attempt.before:
        proposed = [str(order["side"]) for order in attempt.plan["orders"]]
        text = f"Planned {words.count(proposed.count('SELL'), 'sell')} and {words.count(proposed.count('BUY'), 'buy')}"
        yield Step(attempt.before.at, "attempt", f"{text} on {words.money(attempt.before.net_liquidation)}")
    for order in attempt.orders:
        yield from _order_steps(order)
    if attempt.finished_at:
        failed = attempt.outcome in ("failed", "lost")
        error = f": {attempt.error}" if attempt.error else ""
        text = f"Attempt {attempt.number} {attempt.outcome}{error}"
        yield Step(attempt.finished_at, "trouble" if failed else "attempt", text)


def _order_steps(order: OrderView) -> Iterator[Step]:
    name = f"{order.side} {order.quantity} {order.symbol}"
    limit = f" at {words.money(order.limit_price)} or better" if order.limit_price is not None else ""
    yield Step(order.created_at, "order", f"Order {name}{limit}: {order.reason}")
    for report in order.reports:
        said = f" \N{EN DASH} {report.code or ''} {report.text or ''}".rstrip(" \N{EN DASH}")
        yield Step(report.at, "trouble" if report.code else "order", f"{name}: {report.status}{said}")
    for fill in order.fills:
        text = f"Filled {words.quantity(fill.quantity)} {order.symbol} at {words.money(fill.price)}"
        fee = f", commission {words.money(fill.commission)}" if fill.commission is not None else ""
        yield Step(fill.at, "fill", text + fee)


def _slippage(order: OrderView) -> Decimal | None:
    if order.average_price is None:
        return None
    filled = sum((fill.quantity for fill in order.fills), ZERO)
    worse = order.average_price - order.planned_price
    return filled * (worse if order.side == "BUY" else -worse)
