"""What sales have realized, for the tax return."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated

import typer

from rebalancer.cli.output import Json, services, show
from rebalancer.cli.tables import put, table
from rebalancer.domain.money import cents
from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.ledger.queries import household_trades
from rebalancer.realized_gains import Gain, gains, of_year, total

TERMS = {True: "long", False: "short", None: "unknown"}


def realized(
    year: Annotated[int | None, typer.Option(help="Tax year; this one unless said.", min=2000, max=2999)] = None,
    account: Annotated[str | None, typer.Option(help="Of this account alone.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every sale, lot by lot, for a spreadsheet.")] = False,
    as_json: Json = False,
) -> None:
    """Gains and losses of a year, first in, first out, from the executions on record."""
    here = services()
    chosen = trading_day(datetime.now(UTC)).year if year is None else year
    ids = [here.accounts().get(account).account_id] if account else [one.account_id for one in here.accounts()]
    with here.ledger.begin() as session:
        found = of_year(gains(household_trades.executions(session, ids, day_start(date(chosen + 1, 1, 1)))), chosen)
    if as_csv:
        _write(found)
        return
    view = table("=account", "symbol", "=term", ">shares", ">proceeds", ">gain, USD", ">not known")
    for (account_id, symbol, term), rows in _grouped(found).items():
        unknown = sum((one.quantity for one in rows if one.gain is None), Decimal(0))
        amounts = (cents(sum((one.proceeds for one in rows), Decimal(0))), cents(total(rows)))
        shares = f"{sum((one.quantity for one in rows), Decimal(0)).normalize():f}"
        view.add_row(
            account_id, symbol, term, shares, *(f"{one:,}" for one in amounts), f"{unknown:f}" if unknown else ""
        )
    show(as_json, [_row(one) for one in found], view, f"Nothing was sold in {chosen}.")
    if found and not as_json:
        put(f"In all {cents(total(found)):,} USD. Shares without a lot on record: the broker's figure.")


def _grouped(found: Sequence[Gain]) -> dict[tuple[str, str, str], list[Gain]]:
    groups: dict[tuple[str, str, str], list[Gain]] = {}
    for one in sorted(found, key=lambda one: (one.account_id, one.symbol, TERMS[one.long_term])):
        groups.setdefault((one.account_id, one.symbol, TERMS[one.long_term]), []).append(one)
    return groups


def _row(one: Gain) -> dict[str, object]:
    return {**asdict(one), "gain": one.gain, "term": TERMS[one.long_term]}


def _write(found: Sequence[Gain]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow([*(field.name for field in fields(Gain)), "gain", "term"])
    writer.writerows(["" if value is None else value for value in _row(one).values()] for one in found)
