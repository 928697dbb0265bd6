"""The command tree, and how errors are told to a person."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

import rebalancer
from rebalancer.accounts import UnknownAccount
from rebalancer.cli import control, databases, health, init, notifying, queue, records, schedules, story
from rebalancer.errors import AllocationsUnavailable, ConfigurationError, GatewayUnavailable
from rebalancer.ledger.session import LedgerError
from rebalancer.requests import RequestRefused
from rebalancer.runner import cli as runner

errors = Console(stderr=True)

app = typer.Typer(no_args_is_help=True, help=rebalancer.__doc__, pretty_exceptions_enable=False)
app.command()(init.init)
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
app.add_typer(notifying.app, name="notify")
app.command()(databases.backup)
app.command()(databases.restore)
app.command()(databases.grant)
app.command()(health.health)
app.command()(health.doctor)
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
            _tell(problem)
        sys.exit(2)
    except (UnknownAccount, RequestRefused) as error:
        _tell(str(error))
        sys.exit(2)
    except (GatewayUnavailable, AllocationsUnavailable) as error:
        _tell(str(error))
        sys.exit(1)
    except LedgerError as error:
        _tell(f"the ledger cannot be reached: {error}")
        errors.print("Is PostgreSQL running, and does DATABASE_URL name it? `rebalancer up` starts one.")
        sys.exit(1)


def _tell(problem: str) -> None:
    errors.print(f"[red]error:[/] {escape(problem)}", highlight=False, soft_wrap=True)
