"""Scheduled rebalances at the market open."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rebalancer.cli.control import operator
from rebalancer.commands import Command
from rebalancer.ledger import schedules
from rebalancer.requests import RequestRefused, read_account, read_command
from rebalancer.rules.recurrence import Recurrence, next_occurrence
from rebalancer.services import Services
from rebalancer.sessions import trading_day
from rebalancer.settings import load_settings

console = Console()
app = typer.Typer(no_args_is_help=True, help="Requests at the market open.")
SCHEDULABLE = (Command.REBALANCE, Command.PRINT_REBALANCE)


@app.command("list")
def list_all(account: Annotated[str | None, typer.Argument(help="Only this account's.")] = None) -> None:
    """Show the schedules, the next due first."""
    with Services.of(load_settings()).ledger.begin() as session:
        rows = schedules.everything(session, account)
    table = Table("number", "account", "command", "recurrence", "first on", "next, UTC", "by")
    for row in rows:
        table.add_row(
            str(row.id),
            row.account_id,
            str(row.command),
            str(row.recurrence),
            str(row.first_on),
            f"{row.next_at:%Y-%m-%d %H:%M}",
            row.created_by,
        )
    console.print(table if rows else "No schedule.")


@app.command()
def add(
    account: Annotated[str, typer.Argument(help="Account id, as in accounts.yaml.")],
    recurrence: Annotated[Recurrence, typer.Argument(help="How often.")] = Recurrence.ONCE,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day in New York; today by default.")
    ] = None,
    command: Annotated[str, typer.Option(help="rebalance or print-rebalance")] = Command.REBALANCE,
) -> None:
    """Ask for a rebalance at the market open, once or again and again on the same weekday or day of the month."""
    services = Services.of(load_settings())
    chosen = read_account(services.accounts(), account, services.settings.trading_mode)
    now = datetime.now(UTC)
    with services.ledger.begin() as session:
        made = schedules.add(
            session,
            chosen.account_id,
            _schedulable(command),
            recurrence=recurrence,
            first_on=_first_day(on, recurrence, now),
            now=now,
            by=operator(),
        )
    if made is None:
        raise RequestRefused("that market open has passed; give a later day with --on")
    console.print(f"schedule {made.id}: next at {made.next_at:%Y-%m-%d %H:%M} UTC")


@app.command()
def remove(number: Annotated[int, typer.Argument(help="Number, as `rebalancer schedule list` shows it.")]) -> None:
    """Delete a schedule."""
    with Services.of(load_settings()).ledger.begin() as session:
        removed = schedules.remove(session, number)
    if not removed:
        raise RequestRefused(f"no schedule {number}; `rebalancer schedule list` shows them")
    console.print("removed")


@app.command()
def clear(account: Annotated[str | None, typer.Argument(help="Only this account's.")] = None) -> None:
    """Delete all schedules."""
    with Services.of(load_settings()).ledger.begin() as session:
        count = schedules.clear(session, account)
    console.print(f"{count} removed")


def _schedulable(command: str) -> Command:
    chosen = read_command(command)
    if chosen not in SCHEDULABLE:
        raise RequestRefused(f"{chosen} cannot be scheduled; {' and '.join(SCHEDULABLE)} can")
    return chosen


def _first_day(on: datetime | None, recurrence: Recurrence, now: datetime) -> date:
    """The given day; else today, from which a single request moves on to the next open if today's has passed."""
    if on is not None:
        return on.date()
    today = trading_day(now)
    if recurrence is not Recurrence.ONCE:
        return today
    following = next_occurrence(Recurrence.DAILY, today, now)
    return trading_day(following) if following else today
