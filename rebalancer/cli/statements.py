"""The broker's statements, and how they compare with the ledger."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from rebalancer.cli.chosen_stack import on_a_stack
from rebalancer.cli.operator_identity import note
from rebalancer.cli.output import Json, Limit, done, known_accounts, services, show
from rebalancer.cli.tables import put, table
from rebalancer.domain.errors import RequestRefused
from rebalancer.health.statements import queries
from rebalancer.ledger import flex_queries, statements
from rebalancer.ledger.flex_queries import QueryView
from rebalancer.ledger.statements import StatementView

app = typer.Typer(invoke_without_command=True, help="The broker's statements, held against the ledger.")
OFF = "Statements are off: FLEX_TOKEN and FLEX_QUERY_ID are not set (docs/statements.md)."


@app.callback()
@on_a_stack
def list_all(
    context: typer.Context,
    account: Annotated[
        str | None, typer.Option(help="One account, with every difference.", autocompletion=known_accounts)
    ] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """The broker's statements, newest first: what of them the ledger did not have, and what nothing explains."""
    if context.invoked_subcommand is not None:
        return
    here = services()
    with here.ledger.begin() as session:
        rows = statements.recent(session, account, limit)
        asked = queries(here, session)
    nothing = "No statement yet." if here.settings.statements.flex_queries else OFF
    view = table("=account", "=day", "=counted from", ">explained", ">unexplained", "first of them")
    for row in rows:
        counts = str(len(row.differences) - row.unexplained), str(row.unexplained)
        view.add_row(row.account_id, str(row.last), str(row.compared_since or "nothing yet"), *counts, _first(row))
    show(as_json, rows, view, nothing)
    for query in () if as_json else asked:
        _tell(query)
    for row in rows[:1] if account is not None and not as_json else ():
        _differences(row)


@app.command()
@on_a_stack
def fetch(as_json: Json = False) -> None:
    """Have beat ask the broker for statements now."""
    here = services()
    named = [one.query_id for one in here.settings.statements.flex_queries]
    if not named:
        raise RequestRefused(OFF)
    note(here, "fetch-statements", ", ".join(named))
    with here.ledger.begin() as session:
        flex_queries.ask(session, named)
    done(as_json, "asked: beat fetches them, which takes a minute; `rebalancer statements` shows them", queries=named)


def _first(row: StatementView) -> str:
    found = next((one for one in row.differences if not one.kind.explained), None)
    return escape(f"{found.kind}: {found.text}") if found else ""


def _tell(query: QueryView) -> None:
    if query.problem is not None:
        put(f"query {query.query_id}: {escape(query.problem)}; asked again at {query.due_at:%m-%d %H:%M} UTC")


def _differences(row: StatementView) -> None:
    view = table("=kind", "what", "=symbol", ">shares", ">cash", title=f"What the statement of {row.last} has beyond")
    for one in row.differences:
        mark = "" if one.kind.explained else "[red]"
        shares = f"{one.quantity:+f}" if one.quantity else ""
        cash = f"{one.cash:+,.2f} {one.currency}" if one.cash else ""
        view.add_row(f"{mark}{one.kind}", escape(one.text), one.symbol, shares, cash)
    put(view if row.differences else f"The statement of {row.last} and the ledger are the same.")
