"""Submit, list and remove events; list accounts."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.json import JSON
from rich.markup import escape
from rich.table import Table

from rebalancer.cli.scripting import Json, follow_events, print_json
from rebalancer.ledger import views
from rebalancer.ledger.states import ACTIVE, EventState
from rebalancer.ledger.views import EventView
from rebalancer.planning import Kind
from rebalancer.requests import RequestRefused, read_account, read_command, request
from rebalancer.services import Services
from rebalancer.settings import load_settings

console = Console()

STATE_STYLE = {
    EventState.QUEUED: "cyan",
    EventState.RUNNING: "bold cyan",
    EventState.RETRYING: "yellow",
    EventState.HELD: "magenta",
    EventState.SUCCEEDED: "green",
    EventState.REMOVED: "dim",
}


def submit(
    account: Annotated[str, typer.Argument(help="Account id, as in accounts.yaml.")],
    command: Annotated[str, typer.Argument(help="rebalance, print-rebalance, print-positions, ...")],
    kind: Annotated[Kind, typer.Option(help="Of a rebalance: everything, invest cash, or raise cash.")] = Kind.FULL,
    amount: Annotated[str, typer.Option(help="USD to raise beyond the reserve, for raise-cash.")] = "",
    wait_s: Annotated[float, typer.Option("--wait", help="Seconds to wait for the result; 0 returns at once.")] = 0,
) -> None:
    """Ask for one command on one account."""
    services = Services.of(load_settings())
    chosen = read_account(services.accounts(), account, services.settings.trading_mode)
    wish = {} if kind is Kind.FULL else {"kind": str(kind), "amount": amount}
    served = request(services.dispatcher, chosen, read_command(command), wish, "cli")
    console.print(f"event {served.event_id}" + ("" if served.created else " (already active; it serves this request)"))
    if wait_s:
        raise typer.Exit(_wait(services, served.event_id, wait_s))


def events(
    account: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print each change as it happens.")] = False,
    as_json: Json = False,
) -> None:
    """List events, newest first."""
    services = Services.of(load_settings())
    if follow:
        follow_events(services, account, as_json=as_json)
    with services.ledger.begin() as session:
        rows = views.recent_events(session, limit, account)
    if as_json:
        print_json(rows)
        return
    table = Table("created", "account", "command", "state", "queued", "reason", "event")
    for row in rows:
        table.add_row(
            f"{row.created_at:%Y-%m-%d %H:%M:%S}",
            row.account_id,
            row.exec_command,
            f"[{STATE_STYLE[row.state]}]{row.state}[/]",
            str(row.times_queued),
            _reason(row),
            str(row.event_id),
        )
    console.print(table if rows else "No events yet.")


def accounts(as_json: Json = False) -> None:
    """List the configured accounts."""
    services = Services.of(load_settings())
    if as_json:
        print_json(services.accounts())
        return
    table = Table("account", "type", "enabled", "strategy", "reserve", "replacement set")
    for account in services.accounts():
        table.add_row(
            account.account_id,
            str(account.type),
            "yes" if account.enabled else "[dim]no[/]",
            account.strategy,
            f"{account.cash_reserve_percent} %",
            account.replacement_set or "",
        )
    console.print(table)


def remove(event: Annotated[UUID, typer.Argument(help="Event id, as `rebalancer events` shows it.")]) -> None:
    """End an active event for good; a running one stops at its next step."""
    state = Services.of(load_settings()).dispatcher.remove(event, "removed on the command line")
    if state is None:
        raise RequestRefused(f"no active event {event}; `rebalancer events` lists them")
    console.print("removed" if state is EventState.REMOVED else "stops at its next step")


def _reason(row: EventView) -> str:
    if row.state is EventState.RETRYING:
        seconds = max(0, round((row.due_at - datetime.now(UTC)).total_seconds()))
        return f"in {seconds} s, after {escape(row.last_error or '')}"
    return escape(row.reason)


def _wait(services: Services, event_id: UUID, wait_s: float) -> int:
    """Show the result once there is one: 0 = succeeded, 1 = not (yet)."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        with services.ledger.begin() as session:
            row = views.event(session, event_id)
            result = views.last_result(session, event_id)
        if row is None or row.state not in ACTIVE:
            console.print(JSON.from_data(result) if result else f"event {row.state if row else 'unknown'}")
            return 0 if result else 1
        time.sleep(0.1)
    console.print(f"still {row.state}: {_reason(row)}" if row else "unknown event")
    return 1
