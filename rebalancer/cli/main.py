"""The command tree, and how errors are told to a person."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

import rebalancer
from rebalancer.cli import (
    accounts,
    databases,
    decisions,
    event_report,
    health,
    init,
    keys,
    notifications,
    queue,
    records,
    schedules,
    stacks,
)
from rebalancer.cli.stacks import Data, on_a_stack
from rebalancer.config import running_stack
from rebalancer.config.accounts_file import UnknownAccount
from rebalancer.domain.errors import (
    AllocationsUnavailable,
    ConfigurationError,
    GatewayUnavailable,
    NothingRuns,
    RecordUnavailable,
    RequestRefused,
)
from rebalancer.runner import cli as runner

errors = Console(stderr=True)

app = typer.Typer(no_args_is_help=True, help=rebalancer.__doc__, pretty_exceptions_enable=False)
SET_UP, LOOK, ACT, KEEP = "Set up and run", "Look", "Act", "Keep the ledger"
COMMANDS: dict[str, dict[str, Callable[..., Any]]] = {
    SET_UP: {
        "init": init.init,
        "doctor": health.doctor,
        "up": runner.up,
        "down": runner.down,
        "ps": runner.ps,
        "open": keys.open_page,
        "env": stacks.env,
    },
    LOOK: {
        "health": health.health,
        "watch": health.watch,
        "accounts": accounts.accounts,
        "positions": accounts.show_positions,
        "value": accounts.show_value,
        "events": queue.events,
        "event": event_report.event,
        "signals": records.signals,
        "channels": records.channels,
        "audit": records.audit,
        "halts": decisions.halts,
        "approvals": decisions.approvals,
    },
    ACT: {
        "rebalance": queue.rebalance,
        "submit": queue.submit,
        "remove": queue.remove,
        "halt": decisions.halt,
        "resume": decisions.resume,
        "approve": decisions.approve,
        "reject": decisions.reject,
    },
    KEEP: {
        "backup": databases.backup,
        "restore": databases.restore,
        "grant": databases.grant,
        "delete-ledger": databases.delete_ledger,
    },
}
BY_THEMSELVES = {"init", "up", "down", "ps", "backup", "restore", "delete-ledger"}
"""They make a stack, or name its folder whether it runs or not."""

for panel, named in COMMANDS.items():
    for name, command in named.items():
        app.command(name, rich_help_panel=panel)(command if name in BY_THEMSELVES else on_a_stack(command))
app.add_typer(schedules.app, name="schedule", rich_help_panel="Act")
app.add_typer(keys.app, name="keys", rich_help_panel="Set up and run")
app.add_typer(notifications.app, name="notify", rich_help_panel="Look")


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
    data: Data = None,
) -> None:
    """Options before any command."""
    if show:
        typer.echo(rebalancer.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    running_stack.choose(data)


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
    except (GatewayUnavailable, AllocationsUnavailable, NothingRuns) as error:
        _tell(str(error))
        sys.exit(1)
    except RecordUnavailable as error:
        _tell(f"the ledger cannot be reached: {str(error).splitlines()[0]}")
        errors.print(escape(stacks.remedy()), highlight=False, soft_wrap=True)
        sys.exit(1)


def _tell(problem: str) -> None:
    errors.print(f"[red]error:[/] {escape(problem)}", highlight=False, soft_wrap=True)
