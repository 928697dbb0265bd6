"""Submit, list and remove events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from rebalancer.cli.naming import EventArgument, accounts_by_id, read_event
from rebalancer.cli.operator_identity import note, operator
from rebalancer.cli.output import AccountArgument, Json, done, follow_events, services, show
from rebalancer.cli.progress import ask, outcome
from rebalancer.cli.results import report
from rebalancer.cli.tables import named, short, table
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.queries.event_search import EventView
from rebalancer.ledger.states import ACTIVE, EventState
from rebalancer.operations import retries
from rebalancer.operations.requests import read_command

STATE_STYLE = {
    EventState.QUEUED: "cyan",
    EventState.RUNNING: "bold cyan",
    EventState.RETRYING: "yellow",
    EventState.HELD: "magenta",
    EventState.SUCCEEDED: "green",
    EventState.REMOVED: "dim",
}
ALL = 100_000
REASON = "removed on the command line"

WaitSeconds = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the result; 0 returns at once.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def submit(
    account: AccountArgument,
    command: Annotated[str, typer.Argument(help="rebalance, print-rebalance, print-positions, ...")],
    kind: Annotated[
        RebalanceMode, typer.Option(help="Of a rebalance: everything, invest cash, or raise cash.")
    ] = RebalanceMode.FULL,
    amount: Annotated[str, typer.Option(help="USD to raise beyond the reserve, for raise-cash.")] = "",
    *,
    wait_s: WaitSeconds = 0,
    as_json: Json = False,
) -> None:
    """Ask for one command on one account."""
    data = {} if kind is RebalanceMode.FULL else {"kind": str(kind), "amount": amount}
    _carry_out(account, read_command(command), data, wait_s, as_json=as_json)


def rebalance(
    account: AccountArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; send and cancel nothing.")] = False,
    wait_s: WaitSeconds = 60,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Bring an account to its targets and show the result; with --dry-run, only show what that would do."""
    here = services()
    live = here.mode_of(here.accounts().get(account)) is TradingMode.LIVE
    if live and not dry_run and not yes:
        typed = typer.prompt(f"This trades real money. Type {account} to confirm", err=True)
        if typed.strip() != account:
            raise RequestRefused(f"nothing was asked for: {typed!r} is not {account}")
    command = Command.PRINT_REBALANCE if dry_run else Command.REBALANCE
    _carry_out(account, command, {}, wait_s, as_json=as_json)


def events(
    account: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    state: Annotated[list[EventState] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print each change as it happens.")] = False,
    as_json: Json = False,
) -> None:
    """List events, newest first."""
    here = services()
    if follow:
        follow_events(here, account, as_json=as_json)
    with here.ledger.begin() as session:
        rows = event_search.find_events(session, state or EventState, limit, account_id=account, newest_first=True)
    known = accounts_by_id(here)
    view = table("=event", "=created", "=account", "=command", "=state", "why")
    for row in rows:
        view.add_row(
            short(row.event_id),
            f"{row.created_at:%Y-%m-%d %H:%M}",
            named(row.account_id, known),
            row.exec_command,
            f"[{STATE_STYLE[row.state]}]{row.state}[/]",
            _reason(row),
        )
    show(as_json, rows, view, "No events yet.")


def remove(
    event: Annotated[str | None, typer.Argument(help="Event id, or its first digits: `rebalancer events`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All active events.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """End an active event, or all, for good; a running one stops at its next step."""
    if (event is None) == (not everything):
        raise RequestRefused("name one event, as `rebalancer events` shows it, or give --all")
    if event is None:
        _remove_all(yes=yes, as_json=as_json)
        return
    here = services()
    event_id = read_event(here, event)
    note(here, "remove", str(event_id))
    state = here.dispatcher.remove(event_id, REASON)
    if state is None:
        raise RequestRefused(f"no active event {event_id}; `rebalancer events` lists them")
    done(as_json, _ended(state), event_id=event_id, state=state)


def retry(event: EventArgument, as_json: Json = False) -> None:
    """Let an event that waits for its next try run at once; never past a halt, a plan that waits or the pace."""
    here = services()
    event_id = read_event(here, event)
    note(here, "retry", str(event_id))
    made = retries.retry(here, event_id, operator())
    if made is None:
        raise RequestRefused(f"no active event {event_id}; `rebalancer events` lists them")
    done(as_json, "is tried now" if made else "was under way already", event_id=event_id, made=made)


def _remove_all(*, yes: bool, as_json: bool) -> None:
    here = services()
    with here.ledger.begin() as session:
        found = event_search.find_events(session, ACTIVE, ALL)
    if found and not yes:
        typer.confirm(f"End {len(found)} active events for good?", abort=True, err=True)
    note(here, "remove", "all events")
    removed = [one.event_id for one in found if here.dispatcher.remove(one.event_id, REASON) is not None]
    done(as_json, f"{len(removed)} events ended; running ones stop at their next step", event_ids=removed)


def _carry_out(account: str, command: Command, data: dict[str, str], wait_s: float, *, as_json: bool) -> None:
    here = services()
    if wait_s:
        asked, found = outcome(here, account, command, wait_s, data)
        raise typer.Exit(report(asked, found, as_json=as_json))
    asked = ask(here, account, command, data)
    joined = "" if asked.created else " (already active; it serves this request)"
    done(as_json, f"event {asked.event_id}{joined}", event_id=asked.event_id, created=asked.created)


def _ended(state: EventState) -> str:
    return "removed" if state is EventState.REMOVED else "stops at its next step"


def _reason(row: EventView) -> str:
    if row.state is EventState.RETRYING:
        seconds = max(0, round((row.due_at - datetime.now(UTC)).total_seconds()))
        return f"in {seconds} s, after {row.times_queued} tries: {escape(row.last_error or '')}"
    return escape(row.reason)
