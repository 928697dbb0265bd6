"""Ask for a command, and show how it goes until there is a result."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


def outcome(
    services: Services, account_id: str, command: Command, wait_s: float, data: dict[str, str] | None = None
) -> tuple[Asked, RequestOutcome]:
    """Ask for a command; what became of it, as soon as that is known or after ``wait_s``. Ctrl-C only stops the
    waiting: it is not heard before the request is on record, and then the event that goes on is named.

    Raises:
        UnknownAccount, RequestRefused: it cannot be done.
    """
    with _interruption_held_back() as hear_it:
        asked = ask(services, account_id, command, data)
        try:
            hear_it()
            return asked, _wait(services, asked, wait_s)
        except KeyboardInterrupt:
            progress_console.print(f"The event goes on: `rebalancer event {asked.event_id}` shows how.", soft_wrap=True)
            raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _interruption_held_back() -> Iterator[Callable[[], None]]:
    """Ctrl-C raises nothing before what this gives is called, or the block ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def hear_it() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        yield hear_it
    finally:
        hear_it()


def _wait(services: Services, asked: Asked, wait_s: float) -> RequestOutcome:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    deadline = time.monotonic() + wait_s
    with Progress(
        *columns, console=progress_console, transient=True, disable=not progress_console.is_terminal
    ) as progress:
        bar = progress.add_task(str(asked.command), total=None)
        while True:
            found = _look(services, asked, progress, bar)
            if found.is_final or found.state is EventState.HELD or time.monotonic() >= deadline:
                return found
            time.sleep(LOOK_S)


def _look(services: Services, asked: Asked, progress: Progress, bar: TaskID) -> RequestOutcome:
    with services.ledger.begin() as session:
        found = request_outcome.answer(session, asked.event_id, asked.request_no)
        orders = request_outcome.orders_so_far(session, asked.event_id, found.attempt)
    text = f"{asked.command} of {asked.account.account_id}: {found.state}"
    if orders.sent:
        text = f"{text}, {orders.ended} of {orders.sent} orders"
    progress.update(bar, description=text, completed=orders.ended, total=orders.sent or None)
    return found
