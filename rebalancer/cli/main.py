"""The command tree, and how errors are told to a person."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer
from rich.console import Console

import rebalancer
from rebalancer.accounts import UnknownAccount
from rebalancer.cli import control, databases, health, queue, records, schedules, story
from rebalancer.errors import ConfigurationError
from rebalancer.ledger.session import LedgerError
from rebalancer.requests import RequestRefused
from rebalancer.runner import cli as runner

errors = Console(stderr=True)

app = typer.Typer(no_args_is_help=True, help=rebalancer.__doc__, pretty_exceptions_enable=False)
app.command()(queue.submit)
app.command()(queue.rebalance)
app.command()(queue.events)
app.command()(story.event)
app.command()(queue.remove)
app.command()(queue.accounts)
app.command("positions")(records.show_positions)
app.command("value")(records.show_value)
app.command()(records.signals)
app.command()(records.channels)
app.command()(records.audit)
app.command()(control.halt)
app.command()(control.resume)
app.command()(control.halts)
app.command()(control.approvals)
app.command()(control.approve)
app.command()(control.reject)
app.add_typer(schedules.app, name="schedule")
app.command()(databases.backup)
app.command()(databases.restore)
app.command()(databases.grant)
app.command()(health.health)
app.command()(health.doctor)
app.command()(health.health)
app.command()(health.watch)
app.command()(runner.up)
app.command()(runner.down)
app.command()(runner.ps)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
) -> None:
    """Options before any command."""
    if show:
        typer.echo(rebalancer.__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line: exit status 2 for a wrong request or configuration, 1 when a service is away."""
    for extension in entry_points(group="rebalancer.commands"):
        app.add_typer(extension.load(), name=extension.name)
    try:
        app()
    except ConfigurationError as error:
        for problem in error.problems:
            errors.print(f"[red]error:[/] {problem}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except (UnknownAccount, RequestRefused) as error:
        errors.print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except LedgerError as error:
        errors.print(f"[red]error:[/] the ledger cannot be reached: {error}", highlight=False, soft_wrap=True)
        errors.print("Is PostgreSQL running, and does DATABASE_URL name it? `rebalancer up` starts one.")
        sys.exit(1)
