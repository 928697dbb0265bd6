"""The command tree, and how errors are told to a person."""

from __future__ import annotations

import sys
from functools import partial
from importlib.metadata import entry_points
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

import rebalancer
from rebalancer.accounts import UnknownAccount
from rebalancer.cli import accounts, control, databases, health, init, keys, notifying, queue, records, schedules, story
from rebalancer.errors import AllocationsUnavailable, ConfigurationError, GatewayUnavailable
from rebalancer.ledger.session import LedgerError
from rebalancer.requests import RequestRefused
from rebalancer.runner import cli as runner

errors = Console(stderr=True)

app = typer.Typer(no_args_is_help=True, help=rebalancer.__doc__, pretty_exceptions_enable=False)
_set_up = partial(app.command, rich_help_panel="Set up and run")
_look = partial(app.command, rich_help_panel="Look")
_act = partial(app.command, rich_help_panel="Act")
_keep = partial(app.command, rich_help_panel="Keep the ledger")
_set_up()(init.init)
_set_up()(health.doctor)
_set_up()(runner.up)
_set_up()(runner.down)
_set_up()(runner.ps)
_set_up("open")(keys.open_page)
_look()(health.health)
_look()(health.watch)
_look()(accounts.accounts)
_look("positions")(accounts.show_positions)
_look("value")(accounts.show_value)
_look()(queue.events)
_look()(story.event)
_look()(records.signals)
_look()(records.channels)
_look()(records.audit)
_look()(control.halts)
_look()(control.approvals)
_act()(queue.rebalance)
_act()(queue.submit)
_act()(queue.remove)
_act()(control.halt)
_act()(control.resume)
_act()(control.approve)
_act()(control.reject)
_keep()(databases.backup)
_keep()(databases.restore)
_keep()(databases.grant)
app.add_typer(schedules.app, name="schedule", rich_help_panel="Act")
app.add_typer(keys.app, name="keys", rich_help_panel="Set up and run")
app.add_typer(notifying.app, name="notify", rich_help_panel="Look")


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
