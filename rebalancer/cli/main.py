"""The command tree, and how errors are told to a person."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

import rebalancer
from rebalancer.cli.chosen_stack import Data, on_a_stack
from rebalancer.cli.deferred import Deferred, Extensible
from rebalancer.config import running_stack
from rebalancer.domain.errors import (
    AllocationsUnavailable,
    ConfigurationError,
    GatewayUnavailable,
    NothingRuns,
    RecordUnavailable,
    RequestRefused,
    UnknownAccount,
)

SET_UP, LOOK, ACT, KEEP = "Set up and run", "Look", "Act", "Keep the ledger"
COMMANDS: dict[str, dict[str, str]] = {
    SET_UP: {
        "init": "rebalancer.cli.init:init",
        "doctor": "rebalancer.cli.health:doctor",
        "up": "rebalancer.runner.cli:up",
        "down": "rebalancer.runner.cli:down",
        "ps": "rebalancer.runner.cli:ps",
        "open": "rebalancer.cli.keys:open_page",
        "env": "rebalancer.cli.stacks:env",
        "keys": "rebalancer.cli.keys:app",
    },
    LOOK: {
        "health": "rebalancer.cli.health:health",
        "watch": "rebalancer.cli.watching:watch",
        "accounts": "rebalancer.cli.accounts:accounts",
        "positions": "rebalancer.cli.accounts:show_positions",
        "value": "rebalancer.cli.accounts:show_value",
        "cash-flows": "rebalancer.cli.accounts:cash_flows",
        "events": "rebalancer.cli.queue:events",
        "event": "rebalancer.cli.event_report:event",
        "signals": "rebalancer.cli.records:signals",
        "channels": "rebalancer.cli.records:channels",
        "gaps": "rebalancer.cli.records:gaps",
        "sources": "rebalancer.cli.sources:app",
        "gains": "rebalancer.cli.gains:realized",
        "statements": "rebalancer.cli.statements:app",
        "costs": "rebalancer.cli.costs:costs",
        "letter": "rebalancer.cli.letters:letter",
        "audit": "rebalancer.cli.records:audit",
        "halts": "rebalancer.cli.decisions:halts",
        "approvals": "rebalancer.cli.decisions:approvals",
        "strategy-holds": "rebalancer.cli.strategy_holds:strategy_holds",
        "returns": "rebalancer.cli.returns:returns",
        "replay": "rebalancer.cli.replays:replay",
        "notify": "rebalancer.cli.notifications:app",
    },
    ACT: {
        "rebalance": "rebalancer.cli.queue:rebalance",
        "submit": "rebalancer.cli.queue:submit",
        "retry": "rebalancer.cli.queue:retry",
        "remove": "rebalancer.cli.queue:remove",
        "halt": "rebalancer.cli.decisions:halt",
        "resume": "rebalancer.cli.decisions:resume",
        "approve": "rebalancer.cli.decisions:approve",
        "reject": "rebalancer.cli.decisions:reject",
        "release": "rebalancer.cli.strategy_holds:release",
        "withdraw": "rebalancer.cli.strategy_holds:withdraw",
        "schedule": "rebalancer.cli.schedules:app",
        "raise-cash": "rebalancer.cli.cash_plans:raise_cash",
        "cash-plans": "rebalancer.cli.cash_plans:app",
    },
    KEEP: {
        "backup": "rebalancer.cli.databases:backup",
        "restore": "rebalancer.cli.databases:restore",
        "grant": "rebalancer.cli.databases:grant",
        "delete-ledger": "rebalancer.cli.databases:delete_ledger",
    },
}
"""Where each command is, by its name; what it says of itself stands there (:mod:`rebalancer.cli.deferred`)."""
BY_THEMSELVES = {"init", "up", "down", "ps", "backup", "restore", "delete-ledger"}
"""They make a stack, or name its folder whether it runs or not."""


class Commands(Extensible):
    """Ours, and what other packages add."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for panel, places in COMMANDS.items():
            for name, place in places.items():
                wrapper = None if name in BY_THEMSELVES else on_a_stack
                self.add_command(Deferred(name, place, panel, wrapper))


app = typer.Typer(cls=Commands, no_args_is_help=True, help=rebalancer.__doc__, pretty_exceptions_enable=False)


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
        from rebalancer.cli.stacks import remedy  # noqa: PLC0415 - not for what goes well

        _say(remedy())
        sys.exit(1)


def _tell(problem: str) -> None:
    _say(problem, "[red]error:[/] ")


def _say(text: str, before: str = "") -> None:
    """On standard error."""
    from rich.console import Console  # noqa: PLC0415 - not for what goes well
    from rich.markup import escape  # noqa: PLC0415 - as above

    Console(stderr=True).print(f"{before}{escape(text)}", highlight=False, soft_wrap=True)
