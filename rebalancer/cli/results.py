"""A run's result as a person reads it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from rebalancer.cli.output import print_json
from rebalancer.cli.tables import put, short, table
from rebalancer.domain.order_styles import reason_and_style
from rebalancer.domain.units import Ratio, percent_text
from rebalancer.ledger.queries.request_outcome import RequestOutcome
from rebalancer.operations.requests import Asked

WEIGHTS = "weights in percent of investable equity; cash is what stays beyond the reserve"
NUMBER = re.compile(r"[+-]?[0-9][0-9,]*(\.[0-9]+)?( %)?")


def usd(amount: Decimal | str | float | None) -> str:
    """An amount with cents; empty when it is not known."""
    return "" if amount is None else f"{Decimal(str(amount)):,.2f}"


def percent(fraction: Decimal | str | None) -> str:
    """A weight; empty when it is not known."""
    return "" if fraction is None else percent_text(Ratio(Decimal(fraction)))


def report(asked: Asked, found: RequestOutcome, *, as_json: bool) -> int:
    """Print what became of a request.

    Returns:
        Exit code: 0 with a result, 1 without one (yet).
    """
    if as_json:
        facts = {"event_id": asked.event_id, "state": found.state, "reason": found.reason, "error": found.error}
        print_json({**facts, "result": found.result})
        return 0 if found.result is not None else 1
    parts = [f"{found.state}: {escape(found.error or found.reason)}"] if found.result is None else _result(found.result)
    for part in (*parts, f"[dim]rebalancer event {short(asked.event_id)}[/]"):
        put(part)
    return 0 if found.result is not None else 1


def _result(result: dict[str, Any]) -> list[RenderableType]:
    if "positions" in result:
        return [positions(result["positions"])]
    if "equity_info" in result:
        return _rebalance(result)
    facts = table("=fact", "value")
    facts.show_header = False
    for name, value in result.items():
        if not value:
            facts.add_row(name, "none" if isinstance(value, list) else "unknown")
        elif isinstance(value, dict):
            for part, text in value.items():
                facts.add_row(f"{name}, {part.replace('_', ' ')}", escape(str(text)))
        elif not isinstance(value, list):
            facts.add_row(name, escape(str(value)))
    return [facts, *(_records(value) for value in result.values() if isinstance(value, list) and value)]


def positions(rows: list[dict[str, Any]]) -> RenderableType:
    """What an account holds."""
    return _records(rows) if rows else "The account holds nothing."


def _rebalance(result: dict[str, Any]) -> list[RenderableType]:
    equity = result["equity_info"] or {}
    message = (
        f"{escape(str(result['message']))}: equity {usd(equity.get('total_equity'))}, "
        f"reserve {usd(equity.get('reserve_amount'))}, investable {usd(equity.get('available_for_trading'))} USD"
    )
    if base := equity.get("base"):
        message += f"; equity {usd(base['net_liquidation'])} {base['currency']} at {base['rate']} for one USD"
    view = table("=order", ">shares", ">USD", "status", "reason")
    for order in result["orders"]:
        view.add_row(
            f"{order['action']} {order['symbol']}",
            str(order["quantity"]),
            usd(order.get("market_value")),
            escape(str(order.get("status") or "proposed")),
            escape(reason_and_style(str(order.get("reason") or ""), order.get("style"), order.get("style_why"))),
        )
    orders = view if result["orders"] else "No order: the account is where its targets want it."
    return [message, orders, *(f"note: {escape(str(one))}" for one in result.get("notes") or [])]


def _records(rows: list[dict[str, Any]]) -> Table:
    names = list(rows[0])
    numbers = {name for name in names if all(_is_number(row.get(name)) for row in rows)}
    view = table(*(f">{name}" if name in numbers else name for name in names))
    for row in rows:
        view.add_row(*("" if row.get(name) is None else escape(str(row[name])) for name in names))
    return view


def _is_number(value: object) -> bool:
    """Also as text, with a unit after it; nothing counts as one."""
    return value in (None, "") or NUMBER.fullmatch(str(value)) is not None
