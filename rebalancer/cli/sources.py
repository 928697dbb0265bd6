"""Where the strategies' targets come from, and whether their tables are followed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape

from rebalancer.cli.chosen_stack import on_a_stack
from rebalancer.cli.operator_identity import note, operator
from rebalancer.cli.output import Json, done, services, show
from rebalancer.cli.tables import put, table
from rebalancer.health.sources import SourceLine, listing
from rebalancer.operations.accepting import accept_table

app = typer.Typer(invoke_without_command=True, help="Tables that strategies' targets come from.")


@app.callback()
@on_a_stack
def list_all(context: typer.Context, as_json: Json = False) -> None:
    """Tables that strategies' targets come from: where they are, when they were read, what is wrong with them."""
    if context.invoked_subcommand is not None:
        return
    here = services()
    with here.ledger.begin() as session:
        rows = listing(here.accounts(), here.settings.broker.trading_mode, session)
    view = table("=strategy", "from", "=read, UTC", "=changed, UTC", "=as of", ">symbols", "state")
    for row in rows:
        facts = (_moment(row.read_at), _moment(row.changed_at), str(row.as_of or "unknown"), str(row.symbols))
        view.add_row(escape(row.strategy), escape(row.place), *facts, escape(_state(row)))
    show(as_json, rows, view, "No source: all strategies' targets come from the allocations API.")
    for row in () if as_json else rows:
        if row.changes:
            put(f"{escape(row.strategy)} waits for you: {'; '.join(row.changes)}")
            put(f"[dim]rebalancer sources accept {escape(row.strategy)}[/]")


@app.command()
@on_a_stack
def accept(
    strategy: Annotated[str, typer.Argument(help="Strategy whose table waits, as `rebalancer sources` shows it.")],
    as_json: Json = False,
) -> None:
    """Follow a table that was refused because it has shrunk, jumped, or is older than the one before."""
    here = services()
    note(here, "accept-source", strategy)
    accepted = accept_table(here, strategy, operator())
    count = len(accepted.event_ids)
    done(
        as_json,
        f"accepted: {len(accepted.source.weights)} symbols, {count} {'event' if count == 1 else 'events'}",
        strategy=strategy,
        weights=accepted.source.weights,
        events=list(accepted.event_ids),
    )


def _moment(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%m-%d %H:%M:%S}"


def _state(row: SourceLine) -> str:
    state = row.state if row.followed else "no account that is traded follows it"
    return f"{state}: {row.problem}" if row.problem else str(state)
