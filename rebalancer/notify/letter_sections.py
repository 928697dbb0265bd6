"""What a letter says of an account, as facts, tables and a line, for whatever shows it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from rebalancer.domain.money import ZERO
from rebalancer.notify.cost_words import PARTS, basis_points, costs_in_words, missing, refused_styles, style_figures
from rebalancer.notify.open_points import counted, open_points
from rebalancer.notify.privacy import Discretion

Detail = Mapping[str, Any]
"""As :func:`rebalancer.ledger.queries.letters.account_letter` makes it."""


@dataclass(frozen=True, slots=True)
class LetterTable:
    """Rows below a heading; the first column is text, the others are numbers on the right."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One account.

    Attributes:
        facts: what and how much, in words.
        line: equity by day, of which 1 is the first.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    tables: tuple[LetterTable, ...]
    line: tuple[tuple[date, Decimal], ...]


def section(account_id: str, detail: Detail, discretion: Discretion) -> Section:
    """All that a letter says of an account; without amounts in USD or shares, unless they may be shown."""
    tables = (_trades(detail, discretion), _costs(detail, discretion), _styles(detail))
    return Section(
        title=discretion.name(account_id),
        facts=tuple(facts(detail, discretion)),
        tables=tuple(table for table in tables if table.rows),
        line=_line(detail),
    )


def facts(detail: Detail, discretion: Discretion) -> list[tuple[str, str]]:
    """The letter in a few lines."""
    found = _equity(detail, discretion) if detail["equity"] is not None else []
    found.append(("rebalances", str(detail["rebalances"])))
    found.append(("trades", _activity(detail, discretion)))
    told = costs_in_words(detail["costs"], amounts=discretion.amounts) if detail["costs"]["orders"] else ""
    found += [("cost", told.removeprefix("cost "))] if told else []
    refused = refused_styles(detail)
    found += [("order styles", refused)] if refused else []
    return found + [("open", point) for point in open_points(detail)]


def _equity(detail: Detail, discretion: Discretion) -> list[tuple[str, str]]:
    began, flow = Decimal(detail["began"]), Decimal(detail["flow"])
    found = [("equity", f"{Decimal(detail['equity']):,.2f} USD")] if discretion.amounts else []
    found.append(("gain", _gain(Decimal(detail["gain"]), began, discretion)))
    return found + ([("came or went", _gain(flow, began, discretion))] if flow else [])


def _gain(amount: Decimal, began: Decimal, discretion: Discretion) -> str:
    share = f"{amount / began:+.2%}" if began > 0 else "unknown"
    return f"{amount:+,.2f} USD ({share})" if discretion.amounts else share


def _activity(detail: Detail, discretion: Discretion) -> str:
    if not detail["orders"]:
        return "no orders"
    told = f"{counted(detail['orders'], 'order')}, {counted(detail['fills'], 'fill')}"
    traded = Decimal(detail["traded"])
    if discretion.amounts:
        told += f", {traded:,.2f} USD"
    share = _share(traded, detail)
    return f"{told}, {share} of equity" if share else told


def _share(amount: Decimal, detail: Detail) -> str:
    equity = Decimal(detail["equity"] or 0)
    return f"{amount / equity:.1%}" if equity > 0 else ""


def _trades(detail: Detail, discretion: Discretion) -> LetterTable:
    """What was bought and sold."""
    head = ("traded", "of equity", *(("shares", "average price", "USD", "commission") if discretion.amounts else ()))
    return LetterTable("What was traded", head, tuple(_trade(one, detail, discretion) for one in detail["trades"]))


def _trade(one: Detail, detail: Detail, discretion: Discretion) -> tuple[str, ...]:
    value, quantity = Decimal(one["value"]), Decimal(one["quantity"])
    told = (f"{one['side'].lower()} {one['symbol']}", _share(value, detail))
    if not discretion.amounts:
        return told
    fee = "" if one["commission"] is None else f"{Decimal(one['commission']):,.2f}"
    price = Decimal(one["price"]) if "price" in one else value / quantity  # an earlier release did not say it
    return (*told, f"{quantity.normalize():,f}", f"{price:,.4f}", f"{value:,.2f}", fee)


def _costs(detail: Detail, discretion: Discretion) -> LetterTable:
    """What that cost."""
    record = detail["costs"]
    head = ("against the prices at the decision", "bp of what was traded", *(("USD",) if discretion.amounts else ()))
    names = (*PARTS, "cost") if record["orders"] else ()
    rows = tuple(
        (
            "together" if name == "cost" else name,
            basis_points(record[name], record),
            *((f"{Decimal(record[name]):,.2f}",) if discretion.amounts else ()),
        )
        for name in names
    )
    return LetterTable("What trading cost", head, rows, tuple(missing(record)))


def _styles(detail: Detail) -> LetterTable:
    """Whether it pays to work orders otherwise; of a month or week in which one was."""
    head = ("by order style", "orders", "bp", *PARTS, "filled", "time", "fell back")
    return LetterTable("Order styles", head, tuple(_style(one) for one in detail.get("styles", ())))


def _style(one: Detail) -> tuple[str, ...]:
    rates = (basis_points(one[name], one) if one["orders"] else "" for name in ("cost", *PARTS))
    return (one["style"], str(one["orders"]), *rates, *style_figures(one))


def _line(detail: Detail) -> tuple[tuple[date, Decimal], ...]:
    days = [(date.fromisoformat(day), Decimal(equity)) for day, equity in detail["days"] or ()]
    first = days[0][1] if days else ZERO
    return tuple((day, equity / first) for day, equity in days) if first > 0 else ()
