"""Recorded runs by other settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated

import typer
from rich.markup import escape

from rebalancer.cli.days import Since, Until, span_of
from rebalancer.cli.output import Json, known_accounts, print_json, services
from rebalancer.cli.results import usd
from rebalancer.cli.tables import put, table
from rebalancer.config.replayed_settings import read_changes
from rebalancer.domain.units import Ratio, percent_text
from rebalancer.ledger.queries.recorded_runs import replayed
from rebalancer.replay.wording import Row, notes, rows
from rebalancer.services import Services


def replay(
    since: Since = None,
    until: Until = None,
    changes: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="What is to be other than it was; may be repeated.")
    ] = [],  # noqa: B006 - Typer's declarative default
    account: Annotated[
        list[str], typer.Option(help="Only this account; may be repeated.", autocompletion=known_accounts)
    ] = [],  # noqa: B006 - as above
    as_json: Json = False,
) -> None:
    """Plan the recorded runs once more by other settings, and show it beside what was. Nothing is traded."""
    wanted = read_changes(changes)
    here = services()
    with here.ledger.begin() as session:
        found = replayed(session, _accounts(here, account), span_of(since, until), wanted)
    if as_json:
        differing = [asdict(step) for step in found.steps if step.differs]
        told = {"rows": [asdict(row) for row in rows(found)], "worth": found.worth, "notes": list(notes(found))}
        print_json({**told, "differing": differing})
        return
    view = table("figure", ">was", ">would have been")
    for row in rows(found):
        view.add_row(row.name, shown(row, row.was), shown(row, row.would))
    put(view)
    if found.worth is not None:
        put(f"worth {found.worth:+,.2f} USD at the newest run, costs included, dividends not")
    for note in notes(found):
        put(f"[dim]{escape(note)}[/]")


def _accounts(here: Services, asked: Sequence[str]) -> list[str]:
    known = here.accounts()
    return [known.get(one).account_id for one in asked] or [one.account_id for one in known]


def shown(row: Row, value: Decimal | None) -> str:
    """A figure in its unit; empty where there is none."""
    if value is None:
        return ""
    if row.unit == "usd":
        return usd(value)
    return f"{value}" if row.unit == "count" else percent_text(Ratio(value), 2)
