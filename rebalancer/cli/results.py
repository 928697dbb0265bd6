"""A run's result as a person reads it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from rebalancer.cli.scripting import console, print_json
from rebalancer.ledger.answers import Answer
from rebalancer.requests import Asked


def usd(amount: Decimal | str | float | None) -> str:
    """An amount with cents; empty when it is not known."""
    return "" if amount is None else f"{Decimal(str(amount)):,.2f}"


def percent(fraction: Decimal | str | None) -> str:
    """A weight; empty when it is not known."""
    return "" if fraction is None else f"{Decimal(fraction) * 100:.1f} %"


def report(asked: Asked, found: Answer, *, as_json: bool) -> int:
    """Print what became of a request.

    Returns:
        Exit code: 0 with a result, 1 without one (yet).
    """
    if as_json:
        facts = {"event_id": asked.event_id, "state": found.state, "reason": found.reason, "error": found.error}
        print_json({**facts, "result": found.result})
    elif found.result is not None:
        console.print(_result(found.result))
        console.print(f"[dim]rebalancer event {asked.event_id}[/]", soft_wrap=True)
    else:
        why = found.error or found.reason
        console.print(f"{found.state}: {escape(why)}", soft_wrap=True, highlight=False)
        console.print(f"[dim]rebalancer event {asked.event_id}[/]", soft_wrap=True)
    return 0 if found.result is not None else 1


def _result(result: dict[str, Any]) -> RenderableType:
    if "positions" in result:
        return positions(result["positions"])
    if "equity_info" in result:
        return _rebalance(result)
    facts = Table(show_header=False, box=None)
    for name, value in result.items():
        if not value:
            facts.add_row(name, "none" if isinstance(value, list) else "unknown")
        elif not isinstance(value, list):
            facts.add_row(name, escape(str(value)))
    listed = [_records(value) for value in result.values() if isinstance(value, list) and value]
    return Group(facts, *listed)


def positions(rows: list[dict[str, Any]]) -> RenderableType:
    """What an account holds."""
    return _records(rows) if rows else "The account holds nothing."


def _rebalance(result: dict[str, Any]) -> RenderableType:
    equity = result["equity_info"] or {}
    lines: list[RenderableType] = [
        f"{escape(str(result['message']))}: equity {usd(equity.get('total_equity'))}, "
        f"reserve {usd(equity.get('reserve_amount'))}, investable {usd(equity.get('available_for_trading'))} USD"
    ]
    table = Table("order", "symbol", "shares", "USD", "status", "reason")
    for order in result["orders"]:
        table.add_row(
            str(order["action"]),
            str(order["symbol"]),
            str(order["quantity"]),
            usd(order.get("market_value")),
            escape(str(order.get("status") or "proposed")),
            escape(str(order.get("reason") or "")),
        )
    lines.append(table if result["orders"] else "No order: the account is where its targets want it.")
    lines += [f"note: {escape(str(one))}" for one in result.get("notes") or []]
    return Group(*lines)


def _records(rows: list[dict[str, Any]]) -> Table:
    names = list(rows[0])
    table = Table(*names)
    for row in rows:
        table.add_row(*("" if row.get(name) is None else escape(str(row[name])) for name in names))
    return table
