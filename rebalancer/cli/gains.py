"""What sales have realized, for the tax return."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from rebalancer.cli.output import Json, services, show
from rebalancer.cli.tables import put, table
from rebalancer.domain.money import cents
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ledger.queries.household_trades import realized_gains
from rebalancer.realized_gains import GAIN_COLUMNS, Gain, gain_record, summarize, total


def realized(
    year: Annotated[int | None, typer.Option(help="Tax year; this one unless said.", min=2000, max=2999)] = None,
    account: Annotated[str | None, typer.Option(help="Of this account alone.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every sale, lot by lot, for a spreadsheet.")] = False,
    as_json: Json = False,
) -> None:
    """Gains and losses of a year: of the lots that statements have, else first in, first out from the executions."""
    here = services()
    chosen = trading_day(datetime.now(UTC)).year if year is None else year
    ids = [here.accounts().get(account).account_id] if account else [one.account_id for one in here.accounts()]
    with here.ledger.begin() as session:
        found = realized_gains(session, ids, chosen)
    if as_csv:
        _write(found)
        return
    view = table("=account", "symbol", "=term", "=from", ">shares", ">proceeds", ">gain, USD", ">not known")
    for one in summarize(found):
        amounts = (f"{cents(amount):,}" for amount in (one.proceeds, one.gain))
        unknown = f"{one.unknown:f}" if one.unknown else ""
        shares = f"{one.quantity.normalize():f}"
        view.add_row(one.account_id, one.symbol, one.term, str(one.source), shares, *amounts, unknown)
    show(as_json, [gain_record(one) for one in found], view, f"Nothing was sold in {chosen}.")
    if found and not as_json:
        put(f"In all {cents(total(found)):,} USD. docs/household.md says what each source is.")


def _write(found: Sequence[Gain]) -> None:
    writer = csv.DictWriter(sys.stdout, GAIN_COLUMNS)
    writer.writeheader()
    writer.writerows(map(gain_record, found))
