"""Scheduled rebalances at the market open."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from rebalancer.cli.chosen_stack import on_a_stack
from rebalancer.cli.operator_identity import note, operator
from rebalancer.cli.output import AccountArgument, Json, done, services, show
from rebalancer.cli.tables import table
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.recurrence import Recurrence, first_day
from rebalancer.ledger import schedules
from rebalancer.ledger.session import Session
from rebalancer.operations.requests import read_account, read_command

app = typer.Typer(no_args_is_help=True, help="Requests at the market open.")
SCHEDULABLE = (Command.REBALANCE, Command.PRINT_REBALANCE)


@app.command("list")
@on_a_stack
def list_all(
    account: Annotated[str | None, typer.Argument(help="Only this account's.")] = None, as_json: Json = False
) -> None:
    """Show the schedules, the next due first."""
    with services().ledger.begin() as session:
        rows = schedules.everything(session, account)
    view = table(">number", "=account", "=command", "=recurrence", "first on", "next, UTC", "by")
    for row in rows:
        view.add_row(
            str(row.id),
            row.account_id,
            str(row.command),
            str(row.recurrence),
            str(row.first_on),
            f"{row.next_at:%Y-%m-%d %H:%M}",
            row.created_by,
        )
    show(as_json, rows, view, "No schedule.")


@app.command()
@on_a_stack
def add(
    account: AccountArgument,
    recurrence: Annotated[Recurrence, typer.Argument(help="How often.")] = Recurrence.ONCE,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day in New York; today by default.")
    ] = None,
    command: Annotated[str, typer.Option(help="rebalance or print-rebalance")] = Command.REBALANCE,
    as_json: Json = False,
) -> None:
    """Ask for a rebalance at the market open, once or again and again on the same weekday or day of the month."""
    here = services()
    chosen, wanted = read_account(here.accounts(), account, here.settings.broker.trading_mode), _schedulable(command)
    note(here, "schedule", chosen.account_id, command=wanted, recurrence=recurrence)
    first_on = on.date() if on is not None else first_day(recurrence, datetime.now(UTC))
    with here.ledger.begin() as session:
        made = _added(session, chosen.account_id, wanted, recurrence, first_on)
    _tell(as_json, made)


@app.command()
@on_a_stack
def change(
    number: Annotated[int, typer.Argument(help="Number, as `rebalancer schedule list` shows it.")],
    recurrence: Annotated[Recurrence | None, typer.Argument(help="How often; as before by default.")] = None,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day in New York; as before by default.")
    ] = None,
    command: Annotated[str | None, typer.Option(help="rebalance or print-rebalance; as before by default.")] = None,
    as_json: Json = False,
) -> None:
    """Put another schedule of the same account in the place of one; it has a number of its own."""
    here, wanted = services(), None if command is None else _schedulable(command)
    with here.ledger.begin() as session:
        old = schedules.find(session, number)
    if old is None:
        raise RequestRefused(f"no schedule {number}; `rebalancer schedule list` shows them")
    account_id = read_account(here.accounts(), old.account_id, here.settings.broker.trading_mode).account_id
    wanted, often = wanted or old.command, recurrence or old.recurrence
    note(here, "schedule", account_id, command=wanted, recurrence=often, instead_of=number)
    with here.ledger.begin() as session:
        if not schedules.remove(session, number):
            raise RequestRefused(f"schedule {number} has been removed meanwhile; `rebalancer schedule list` shows them")
        made = _added(session, account_id, wanted, often, old.first_on if on is None else on.date())
    _tell(as_json, made)


@app.command()
@on_a_stack
def remove(
    number: Annotated[int, typer.Argument(help="Number, as `rebalancer schedule list` shows it.")],
    as_json: Json = False,
) -> None:
    """Delete a schedule."""
    here = services()
    note(here, "unschedule", str(number))
    with here.ledger.begin() as session:
        removed = schedules.remove(session, number)
    if not removed:
        raise RequestRefused(f"no schedule {number}; `rebalancer schedule list` shows them")
    done(as_json, "removed", number=number)


@app.command()
@on_a_stack
def clear(
    account: Annotated[str | None, typer.Argument(help="Only this account's.")] = None, as_json: Json = False
) -> None:
    """Delete all schedules."""
    here = services()
    note(here, "unschedule", account or "all")
    with here.ledger.begin() as session:
        count = schedules.clear(session, account)
    done(as_json, f"{count} removed", removed=count)


def _added(
    session: Session, account_id: str, command: Command, recurrence: Recurrence, first_on: date
) -> schedules.Schedule:
    now = datetime.now(UTC)
    made = schedules.add(session, account_id, command, recurrence=recurrence, first_on=first_on, now=now, by=operator())
    if made is None:
        raise RequestRefused("that market open has passed; give a later day with --on")
    return made


def _tell(as_json: bool, made: schedules.Schedule) -> None:
    done(
        as_json, f"schedule {made.id}: next at {made.next_at:%Y-%m-%d %H:%M} UTC", number=made.id, next_at=made.next_at
    )


def _schedulable(command: str) -> Command:
    chosen = read_command(command)
    if chosen not in SCHEDULABLE:
        raise RequestRefused(f"{chosen} cannot be scheduled; {' and '.join(SCHEDULABLE)} can")
    return chosen
