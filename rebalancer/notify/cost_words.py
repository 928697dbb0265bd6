"""What trading cost, in words for a person; pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Record = Mapping[str, Any]
"""As :func:`rebalancer.costs.records.summary_record` makes it, decimals perhaps as text."""
PARTS = ("delay", "spread", "impact", "commission")


def costs_in_words(record: Record, *, amounts: bool) -> str:
    """``cost 3.1 bp of what was traded (delay 0.2, spread 1.0, impact 0.9, commission 1.0)``, and what is left out.

    Args:
        amounts: say USD too.
    """
    if not record["orders"]:
        return "; ".join(["no cost can be told", *missing(record)])
    parts = ", ".join(f"{part} {basis_points(record[part], record)}" for part in PARTS)
    usd = f"{Decimal(record['cost']):,.2f} USD, " if amounts else ""
    told = f"cost {usd}{basis_points(record['cost'], record)} bp of what was traded ({parts})"
    return "; ".join([told, *missing(record)])


def basis_points(amount: Decimal | str, record: Record) -> str:
    """Of what was traded, with one decimal."""
    found = Decimal(amount) / Decimal(record["worth"]) * 10_000
    return f"{found:.1f}" if round(found, 1) else "0.0"


def missing(record: Record) -> list[str]:
    """What the figures leave out, in words."""
    found = [
        (record["without_quote"], "without a quote on record", "left out"),
        (record["incomplete"], "without all executions or commissions", "as far as known"),
    ]
    return [f"{count} {'order' if count == 1 else 'orders'} {which}: {how}" for count, which, how in found if count]


def refused_styles(detail: Record) -> str:
    """Styles that the broker has refused in a digest's day or a letter's time; empty without any."""
    refused = detail.get("styles_refused", ())
    return f"refused by the broker and sent plainly: {', '.join(refused)}" if refused else ""


def style_figures(record: Record) -> tuple[str, str, str]:
    """Part that was filled, time that took, and how often something else had to be done, of a month of a style."""
    filled, seconds = record["filled"], record["seconds"]
    took = "" if seconds is None else f"{Decimal(seconds):,.0f} s"
    return ("" if filled is None else f"{Decimal(filled):.0%}", took, str(record["fell_back"]))
