"""`rebalancer event ID`: why it traded, or why it did not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from rebalancer.cli.results import percent, usd
from rebalancer.cli.scripting import Json, console, print_json, services
from rebalancer.ledger.history import AttemptView, EventHistory, OrderView, SnapshotView, event_history
from rebalancer.requests import RequestRefused


def event(
    event_id: Annotated[UUID, typer.Argument(help="Event id, as `rebalancer events` shows it.")],
    as_json: Json = False,
) -> None:
    """Show one event: its signals, attempts, plan, orders, fills, and weights before and after."""
    with services().ledger.begin() as session:
        found = event_history(session, event_id)
    if found is None:
        raise RequestRefused(f"no event {event_id}; `rebalancer events` lists them")
    if as_json:
        print_json(found)
        return
    for part in _told(found):
        console.print(part, soft_wrap=isinstance(part, str), highlight=False)


def _told(found: EventHistory) -> Iterator[RenderableType]:
    event = found.event
    yield f"[bold]{event.exec_command} of {event.account_id}[/] ({event.strategy})"
    yield f"{event.state}: {escape(event.reason)}"
    if event.needs_attention:
        yield "[red]needs attention[/]"
    for signal in found.signals:
        remark = f": {escape(signal.remark)}" if signal.remark else ""
        yield f"{signal.received_at:%Y-%m-%d %H:%M:%S}  signal from {signal.channel} for {signal.command}{remark}"
    for attempt in found.attempts:
        yield from _attempt(attempt)


def _attempt(attempt: AttemptView) -> Iterator[RenderableType]:
    error = f": [red]{escape(attempt.error)}[/]" if attempt.error else ""
    yield f"{attempt.started_at:%Y-%m-%d %H:%M:%S}  attempt {attempt.number}: {attempt.outcome or 'running'}{error}"
    if attempt.orders:
        yield Padding(_orders(attempt.orders), (0, 0, 0, 2))
    elif attempt.plan and attempt.plan["orders"]:
        yield Padding(_proposed(attempt.plan["orders"]), (0, 0, 0, 2))
    if attempt.before is not None:
        yield Padding(_weights(attempt.before, attempt.after, attempt.plan), (0, 0, 0, 2))


def _orders(orders: tuple[OrderView, ...]) -> Table:
    table = Table("order", "shares", "filled", "price", "USD", "commission", "status", "reason")
    for order in orders:
        table.add_row(
            f"{order.side} {order.symbol}",
            str(order.quantity),
            f"{order.filled:f} in {len(order.fills)} fill{'' if len(order.fills) == 1 else 's'}",
            usd(order.average_price),
            usd(order.notional),
            usd(order.commission),
            escape(_status(order)),
            escape(order.reason),
        )
    return table


def _status(order: OrderView) -> str:
    said = [f"{one.code} {one.text or ''}".strip() for one in order.reports if one.code]
    return "\n".join([order.status, *said])


def _proposed(orders: list[dict[str, str]]) -> Table:
    table = Table("proposed", "shares", "price", "fee", "reason")
    for one in orders:
        name = f"{one['side']} {one['symbol']}"
        table.add_row(name, str(one["quantity"]), usd(one["price"]), usd(one["fee"]), escape(one["reason"]))
    return table


def _weights(before: SnapshotView, after: SnapshotView | None, plan: dict[str, Any] | None) -> Table:
    """Shares of equity before and after the attempt, beside the plan's targets (shares of investable equity)."""
    targets = {line["symbol"]: line["target_weight"] for line in plan["lines"]} if plan else {}
    first, last = _of(before), _of(after) if after else {}
    table = Table("symbol", "before", "after", "target")
    for symbol in sorted(first.keys() | last.keys() | targets.keys()):
        table.add_row(symbol, percent(first.get(symbol)), percent(last.get(symbol)), percent(targets.get(symbol)))
    equity = f"{usd(before.net_liquidation)} USD"
    table.add_row("equity", equity, f"{usd(after.net_liquidation)} USD" if after else "", "")
    return table


def _of(snapshot: SnapshotView) -> dict[str, str]:
    return {one["symbol"]: one["weight"] for one in snapshot.positions if one["weight"] is not None}
