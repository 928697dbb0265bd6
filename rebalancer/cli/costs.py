"""What trading cost against the prices at which it was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape

from rebalancer.cli.days import span_of
from rebalancer.cli.output import Json, Limit, known_accounts, print_json, services
from rebalancer.cli.tables import put, short, table
from rebalancer.costs.records import order_record, summary_record
from rebalancer.costs.shortfall import PARTS, SentOrder
from rebalancer.costs.styles import StyleCosts, by_style, style_record
from rebalancer.costs.summary import By, Costs, summarize
from rebalancer.ledger.queries import costs as queries
from rebalancer.ledger.queries.costs import LATELY, OrderSpan
from rebalancer.notify.cost_words import basis_points, costs_in_words, style_figures

HEADINGS = (">cost", ">bp", ">delay", ">spread", ">impact", ">comm.")


class Rows(StrEnum):
    """What a line is about."""

    ORDER = "order"
    RUN = "run"
    MONTH = "month"
    ACCOUNT = "account"
    SYMBOL = "symbol"
    STYLE = "style"


def costs(
    *,
    by: Annotated[Rows, typer.Option(help="What each line is about.")] = Rows.MONTH,
    account: Annotated[str | None, typer.Option(help="Only this account's.", autocompletion=known_accounts)] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help=f"First day, UTC; {LATELY.days} days ago by default.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day, UTC; today by default.")
    ] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Show what trading cost: delay, spread, impact and commission, in USD and basis points."""
    here = services()
    if account is not None:
        here.accounts().get(account)
    span = OrderSpan.lately_or(span_of(since, until), account)
    if by is Rows.ORDER:
        with here.ledger.begin() as session:
            _show_orders(queries.newest_orders(session, span, limit), as_json=as_json)
    elif by is Rows.STYLE:
        _show_styles(by_style(queries.sent_orders(here.ledger, span)), limit, as_json=as_json)
    else:
        _show(summarize(queries.sent_orders(here.ledger, span), By(by)), by, limit, as_json=as_json)


def _show(found: Costs, by: Rows, limit: int, *, as_json: bool) -> None:
    whole, parts = summary_record(found.together), [summary_record(one) for one in found.parts[:limit]]
    if as_json:
        print_json({"together": whole, "parts": parts})
        return
    if not parts:
        put("Nothing was sent in that time.")
        return
    view = table(f"={by}", ">orders", ">traded", *HEADINGS)
    for one in parts:
        traded = f"{one['worth']:,.0f}"
        view.add_row(escape(_key(one["key"], by)), str(one["orders"]), traded, *_figures(one))
    put(view)
    put(f"together: {costs_in_words(whole, amounts=True)}")
    if spread := whole["percentiles"]:
        low, half, high = (f"{spread[name]:.1f}" for name in ("p10", "p50", "p90"))
        put(f"of ten orders one cost {low} bp or less, five {half}, nine {high}")
    if len(found.parts) > limit:
        put(f"[dim]{len(found.parts) - limit} more with --limit {len(found.parts)}[/]")


def _show_styles(found: Sequence[StyleCosts], limit: int, *, as_json: bool) -> None:
    rows = [style_record(one) for one in found[:limit]]
    if as_json:
        print_json({"styles": rows})
        return
    if not rows:
        put("Nothing was sent in that time.")
        return
    for month, of_month in groupby(rows, key=itemgetter("month")):
        styles = list(of_month)
        view = table(f"={month}", *HEADINGS[1:], ">filled", ">time", ">fell back")
        for row in styles:
            view.add_row(row["style"], *_figures(row)[1:], *style_figures(row))
        put(view)
        for row in styles:
            put(f"[dim]{_spread(row)}[/]")
    put("bp of what was traded; what a style has left walks, and counts as its own")


def _spread(row: Mapping[str, Any]) -> str:
    told = f"{row['style']}: {row['orders']} orders, {row['worth']:,.0f} USD"
    if spread := row["percentiles"]:
        told += f"; of ten five cost {spread['p50']:.1f} bp or less, nine {spread['p90']:.1f}"
    return told


def _show_orders(orders: list[SentOrder], *, as_json: bool) -> None:
    rows = [order_record(order) for order in orders]
    if as_json:
        print_json({"orders": rows})
        return
    if not rows:
        put("Nothing was sent in that time.")
        return
    view = table("=at, UTC", "=account", "=order", *HEADINGS)
    for row in rows:
        view.add_row(f"{row['at']:%m-%d %H:%M}", row["account_id"], f"{row['side']} {row['symbol']}", *_figures(row))
    put(view)


def _key(key: str, by: Rows) -> str:
    """A run by the digits that `rebalancer event` takes."""
    if by is not Rows.RUN:
        return key
    event_id, _, attempt = key.partition("/")
    return f"{short(UUID(event_id))}/{attempt}"


def _figures(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Of a line: USD, and each part in basis points; empty where nothing can be told."""
    if row["basis_points"] is None:
        return ("",) * len(HEADINGS)
    rates = (basis_points(row[name], row) for name in ("cost", *PARTS))
    return (f"{row['cost']:,.2f}", *rates)
