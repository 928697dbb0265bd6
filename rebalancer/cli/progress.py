"""Ask for a command, and show how it goes until there is a result."""

from __future__ import annotations

import time
from functools import partial

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from rebalancer.cli.operator_identity import note
from rebalancer.domain.commands import Command
from rebalancer.ledger.queries import request_outcome
from rebalancer.ledger.queries.request_outcome import RequestOutcome
from rebalancer.ledger.states import EventState
from rebalancer.operations import requests
from rebalancer.operations.requests import Asked
from rebalancer.services import Services

LOOK_S = 0.1
INTERRUPTED = 130

progress_console = Console(stderr=True)
"""Progress goes to standard error, so that standard output holds the result alone."""


def ask(services: Services, account_id: str, command: Command, data: dict[str, str] | None = None) -> Asked:
    """Put a request on record and publish it.

    Raises:
        UnknownAccount, RequestRefused: it cannot be done.
    """
    data = data or {}
    on_record = partial(note, services, command, account_id, **data)
    return requests.ask(services, account_id, command, data, source="cli", note=on_record)


def wait(services: Services, asked: Asked, wait_s: float) -> RequestOutcome:
    """What became of the request, as soon as that is known, or after ``wait_s``; Ctrl-C only stops the waiting."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    deadline = time.monotonic() + wait_s
    with Progress(
        *columns, console=progress_console, transient=True, disable=not progress_console.is_terminal
    ) as progress:
        bar = progress.add_task(str(asked.command), total=None)
        try:
            while True:
                found = _look(services, asked, progress, bar)
                if found.is_final or found.state is EventState.HELD or time.monotonic() >= deadline:
                    return found
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            progress_console.print(f"The event goes on: `rebalancer event {asked.event_id}` shows how.", soft_wrap=True)
            raise typer.Exit(INTERRUPTED) from None


def _look(services: Services, asked: Asked, progress: Progress, bar: TaskID) -> RequestOutcome:
    with services.ledger.begin() as session:
        found = request_outcome.answer(session, asked.event_id, asked.request_no)
        orders = request_outcome.orders_so_far(session, asked.event_id, found.attempt)
    text = f"{asked.command} of {asked.account.account_id}: {found.state}"
    if orders.sent:
        text = f"{text}, {orders.ended} of {orders.sent} orders"
    progress.update(bar, description=text, completed=orders.ended, total=orders.sent or None)
    return found
