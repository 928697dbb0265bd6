"""`rebalancer up`, `down`, `ps` and `env`: the whole application on one machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rebalancer.config.configuration import refuse_wrong_configuration
from rebalancer.config.running_stack import DEFAULT, DEMO, chosen, folder_here, shown
from rebalancer.domain.errors import ConfigurationError
from rebalancer.runner.failure import StartFailed
from rebalancer.runner.folder import Folder, folder_at
from rebalancer.runner.interruptions import interruptions_heard_by
from rebalancer.runner.programs import default_programs
from rebalancer.runner.stack import Stack, StackOptions
from rebalancer.runner.stopping import Progress, stop_everything
from rebalancer.runner.supervision import ProgramState, ShuttingDown, Supervisor
from rebalancer.runner.waiting import Interrupted, wait_until

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder that keeps everything of this stack.", show_default=str(DEFAULT))
]
Found = Annotated[Path | None, typer.Option("--data", help="Folder of the stack, if it is not the one that runs here.")]
LOOK_S = 2.0
AGAIN = b"\nAlready stopping: the worker finishes its run first.\n"

console = Console(highlight=False)


def up(
    data: Data = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Simulate broker, signals and allocations.")] = False,
    scenario: Annotated[
        Path | None,
        typer.Option(help="With --sandbox: accounts and market of the broker, see docs/sandbox.md.", exists=True),
    ] = None,
) -> None:
    """Start everything and keep it running until Ctrl-C, which stops everything and loses nothing."""
    with explained_failures() as failed:
        if scenario is not None and not sandbox:
            raise ConfigurationError(["--scenario is of a simulated broker: add --sandbox"])
        refuse_wrong_configuration(env_file=not sandbox)
    if failed:
        raise typer.Exit(_exit_code(failed))
    programs = partial(default_programs, scenario=scenario)
    stack = Stack(StackOptions(data or chosen() or DEFAULT, sandbox=sandbox, programs=programs), stage_printer())
    raise typer.Exit(run(stack))


def down(data: Found = None) -> None:
    """Stop everything that runs in the folder, whoever started it."""
    with explained_failures() as failed:
        folder = folder_at(data or folder_here())
        if folder.exists():
            stop_everything(folder, stage_printer())
        else:
            console.print(f"Nothing was ever started in {escape(str(folder.root))}.")
    raise typer.Exit(_exit_code(failed))


def ps(
    data: Found = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False
) -> None:
    """Show what runs in the folder; exit code 1 when nothing does."""
    found = False
    with explained_failures() as failed:
        folder = folder_at(data or folder_here())
        found = _list(folder) if as_json else _show(folder)
    raise typer.Exit(_exit_code(failed) or int(not found))


def run(stack: Stack) -> int:
    """Start a stack, follow it until a signal or `rebalancer down`, stop it.

    Returns:
        Exit code of the process.
    """
    with _signals_stop(stack), explained_failures() as failed:
        try:
            stack.start()
            _print_addresses(stack.site.folder)
            console.print("Ctrl-C stops everything.")
            follow(stack)
        except Interrupted:
            console.print("Stopped while starting.")
        finally:
            stack.stop()
    return _exit_code(failed)


def _exit_code(failed: list[Exception]) -> int:
    """As docs/operations.md has them: 2 for what a person has to correct, 1 for what did not work."""
    return 0 if not failed else 2 if isinstance(failed[0], ConfigurationError) else 1


def follow(stack: Stack) -> None:
    """Print what changes, until the stack has to stop.

    Raises:
        StartFailed: supervisord was killed.
    """
    known: dict[str, ProgramState] = {one.name: one for one in stack.programs()}

    def over() -> bool:
        return stack.stop_requested() or stack.supervisor_exit() is not None

    while not wait_until(over, LOOK_S):
        for state in stack.programs():
            if line := _change(known.get(state.name), state):
                console.print(escape(line))
            known[state.name] = state
    if stack.supervisor_exit():
        log = stack.site.folder.log("supervisord")
        raise StartFailed("supervisord", "was killed", log, "start again with `rebalancer up`")


def stage_printer() -> Progress:
    """Prints each stage with the seconds since the first."""
    began = time.monotonic()

    def show(stage: str, detail: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/dim]  {stage:<10} {escape(detail)}")

    return show


def _change(before: ProgramState | None, now: ProgramState) -> str | None:
    """One line about a program that ended or came back; None when nothing happened to it."""
    if before is None or (before.state, before.pid) == (now.state, now.pid):
        return None
    if now.state == "BACKOFF" and before.state != "BACKOFF":
        return f"{now.name} keeps ending and is started again: {now.description}"
    if now.pid is not None and before.pid != now.pid:
        return f"{now.name} was started again (pid {now.pid})"
    return None


def _states(folder: Folder) -> tuple[ProgramState, ...]:
    """What runs; nothing where no supervisor answers.

    Raises:
        ShuttingDown: it is about to end.
    """
    try:
        return Supervisor(folder.supervisor_socket()).programs() if folder.exists() else ()
    except (ConnectionError, FileNotFoundError):
        return ()


def _list(folder: Folder) -> bool:
    """The same for scripts."""
    try:
        states, stopping = _states(folder), False
    except ShuttingDown:
        states, stopping = (), True
    typer.echo(json.dumps({"stopping": stopping, "programs": [asdict(one) for one in states]}, indent=2, default=str))
    return bool(states) or stopping


def _show(folder: Folder) -> bool:
    """Print the programs and addresses; False when nothing runs."""
    try:
        states = _states(folder)
    except ShuttingDown:
        console.print("Stopping.")
        return True
    if not states:
        where = "" if folder.root == DEFAULT.resolve() else f" --data {folder.root}"
        text = f"Nothing runs in {escape(str(folder.root))}: start it with `rebalancer up{escape(where)}`."
        console.print(text, soft_wrap=True)
        return False
    console.print(_table(states))
    _print_addresses(folder)
    return True


def _table(states: tuple[ProgramState, ...]) -> Table:
    table = Table("program", "state", "pid", "since", box=None, pad_edge=False)
    for one in states:
        table.add_row(one.name, one.state.lower(), str(one.pid or ""), escape(one.description))
    return table


def _print_addresses(folder: Folder) -> None:
    if folder.addresses.exists():
        for name, address in json.loads(folder.addresses.read_text()).items():
            console.print(f"{escape(name):<24} {escape(address)}", soft_wrap=True)
        where = "" if folder.root in (DEFAULT.resolve(), DEMO.resolve()) else f" --data {shown(folder.root)}"
        console.print(f"{'Management key':<24} `rebalancer env{escape(where)}` prints it", soft_wrap=True)


@contextmanager
def explained_failures() -> Iterator[list[Exception]]:
    """Explain a failure to its owner; the list is empty when there was none."""
    failed: list[Exception] = []
    try:
        yield failed
    except ConfigurationError as error:
        failed.append(error)
        for problem in error.problems:
            console.print(f"[red]{escape(problem)}[/red]", soft_wrap=True)
    except StartFailed as error:
        failed.append(error)
        console.print(f"[red]{escape(str(error))}[/red]", soft_wrap=True)
        console.print(escape(error.log_tail()), soft_wrap=True)
        console.print(f"What to do: {escape(error.remedy)}", soft_wrap=True)
    except PermissionError as error:
        failed.append(error)
        console.print(
            f"[red]{escape(str(error))}[/red]: use the user that started it, or another --data", soft_wrap=True
        )


@contextmanager
def _signals_stop(stack: Stack) -> Iterator[None]:
    """The first Ctrl-C, SIGTERM or closed terminal asks the stack to stop; later ones are told to be patient."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stack.stop_requested():
            os.write(2, AGAIN)
        stack.request_stop()

    with interruptions_heard_by(handle):
        yield
