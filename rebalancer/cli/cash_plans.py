"""Cash that is to be there: now, or settled by a day."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer
from rich.markup import escape

from rebalancer.cli.chosen_stack import on_a_stack
from rebalancer.cli.naming import accounts_by_id
from rebalancer.cli.operator_identity import note, operator
from rebalancer.cli.output import AccountArgument, Json, done, services, show
from rebalancer.cli.queue import submit
from rebalancer.cli.results import usd
from rebalancer.cli.tables import named, short, table
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.operations import cash_plans

app = typer.Typer(no_args_is_help=True, help="Cash that is to be settled by a day.")


def raise_cash(
    account: AccountArgument,
    amount: Annotated[str, typer.Argument(help="USD beyond the reserve.")],
    by: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="New York day by which it is to be settled; without it, sell now."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sell what is most above its target until there is so much cash; with --by, in time to settle."""
    if by is None:
        submit(account, Command.REBALANCE, RebalanceMode.RAISE_CASH, amount, as_json=as_json)
        return
    here, wanted = services(), _amount(amount)
    note(here, "raise-cash", account, amount=str(wanted), by=by.date().isoformat())
    made = cash_plans.plan(here, account, wanted, by.date(), operator())
    text = f"cash plan {made.id}: {usd(made.amount)} USD by {made.by}, sold at {made.sells_at:%Y-%m-%d %H:%M} UTC"
    done(as_json, text, number=made.id, sells_at=made.sells_at)


@app.command("list")
@on_a_stack
def list_all(as_json: Json = False) -> None:
    """Show the cash that is to be settled by a day, the next sale first."""
    here = services()
    rows, known = cash_plans.in_force(here), accounts_by_id(here)
    view = table(">number", "=account", ">USD", "=by", "=sold at, UTC", "state", "=event", "by whom")
    for row in rows:
        event = short(row.event_id) if row.event_id else ""
        day, sold = str(row.by), f"{row.sells_at:%Y-%m-%d %H:%M}"
        who = escape(row.created_by)
        view.add_row(str(row.id), named(row.account_id, known), usd(row.amount), day, sold, str(row.state), event, who)
    show(as_json, rows, view, "No cash is to be raised.")


@app.command()
@on_a_stack
def cancel(
    number: Annotated[int, typer.Argument(help="Number, as `rebalancer cash-plans list` shows it.")],
    as_json: Json = False,
) -> None:
    """End a plan: nothing is sold for it, or what was raised may be invested."""
    here = services()
    note(here, "cancel-cash", str(number))
    ended = cash_plans.cancel(here, number, operator())
    done(as_json, cash_plans.what_is_left(ended), number=number, state=ended.state)


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise RequestRefused(f"raise-cash needs an amount of USD above 0, got {text[:40]!r}")
    return amount
