"""What is on record: signals, channels, changes, and what an account holds and is worth."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from rebalancer.cli.results import percent, positions, report, usd
from rebalancer.cli.scripting import AccountArgument, Json, Limit, console, print_json, services, show
from rebalancer.cli.waiting import ask, wait
from rebalancer.commands import Command
from rebalancer.ledger import logbook, portfolio
from rebalancer.ledger import signals as ledger
from rebalancer.ledger.portfolio import Portfolio
from rebalancer.ledger.states import SignalState
from rebalancer.requests import RequestRefused

Fresh = Annotated[bool, typer.Option("--fresh", help="Ask the broker now instead of the newest record.")]
WaitSeconds = Annotated[float, typer.Option("--wait", min=0.1, help="With --fresh: seconds to wait for the broker.")]


def signals(
    state: Annotated[SignalState | None, typer.Option(help="quarantined: kept, but nobody could act on it.")] = None,
    channel: Annotated[str | None, typer.Option(help="Strategy, or api, cli, schedule.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List every signal that arrived, newest first, and what became of it."""
    with services().ledger.begin() as session:
        rows = ledger.find_signals(session, limit, state=state, channel=channel)
    table = Table("received", "from", "taken for", "became of it", "events")
    for row in rows:
        remark = f": {escape(row.remark)}" if row.remark else ""
        table.add_row(
            f"{row.received_at:%Y-%m-%d %H:%M:%S}",
            row.channel,
            row.command or "nothing",
            f"{row.state}{remark}",
            "\n".join(f"{one.account_id} {one.state} {one.event_id}" for one in row.events),
        )
    show(as_json, rows, table, "No signal.")


def channels(as_json: Json = False) -> None:
    """Show how each strategy's channel is heard."""
    with services().ledger.begin() as session:
        rows = ledger.channels(session)
    table = Table("channel", "heard until, UTC", "trouble")
    for row in rows:
        table.add_row(row.channel, f"{row.heard_until:%Y-%m-%d %H:%M:%S}", escape(row.trouble or ""))
    show(as_json, rows, table, "No channel was ever listened to: start the listener.")


def audit(limit: Limit = 20, as_json: Json = False) -> None:
    """List who asked for which change, newest first."""
    with services().ledger.begin() as session:
        rows = logbook.recent(session, limit)
    table = Table("at", "by", "from", "did", "to", "detail")
    for row in rows:
        detail = ", ".join(f"{name}: {value}" for name, value in row.detail.items())
        table.add_row(
            f"{row.at:%Y-%m-%d %H:%M:%S}", row.actor, row.address, row.action, escape(row.subject), escape(detail)
        )
    show(as_json, rows, table, "Nobody has asked for a change.")


def show_positions(
    account: AccountArgument, fresh: Fresh = False, wait_s: WaitSeconds = 30, as_json: Json = False
) -> None:
    """Show what an account holds: from the newest record of a run, or asked now."""
    if fresh:
        _ask(account, Command.PRINT_POSITIONS, wait_s, as_json=as_json)
    found = _newest(account)
    held = [asdict(one) for one in found.holdings]
    if as_json:
        print_json({"account_id": account, "timestamp": found.at, "positions": held})
        return
    rows = [{**one, "weight": percent(one["weight"])} for one in held]
    console.print(positions(rows))
    console.print(f"[dim]as of {found.at:%Y-%m-%d %H:%M:%S} UTC[/]")


def show_value(account: AccountArgument, fresh: Fresh = False, wait_s: WaitSeconds = 30, as_json: Json = False) -> None:
    """Show what an account is worth: from the newest record of a run, or asked now."""
    if fresh:
        _ask(account, Command.PRINT_EQUITY, wait_s, as_json=as_json)
    found = _newest(account)
    today = found.gain_today(datetime.now(UTC))
    facts: dict[str, Any] = {"net_liquidation": found.net_liquidation, "cash": found.cash, "gain_today": today}
    if as_json:
        print_json({"account_id": account, "timestamp": found.at, **facts})
        return
    for name, amount in facts.items():
        console.print(f"{name:<16} {usd(amount) or 'unknown':>16} USD")
    console.print(f"[dim]as of {found.at:%Y-%m-%d %H:%M:%S} UTC[/]")


def _ask(account: str, command: Command, wait_s: float, *, as_json: bool) -> None:
    here = services()
    asked = ask(here, account, command)
    raise typer.Exit(report(asked, wait(here, asked, wait_s), as_json=as_json))


def _newest(account_id: str) -> Portfolio:
    here = services()
    here.accounts().get(account_id)
    with here.ledger.begin() as session:
        found = portfolio.portfolio(session, account_id)
    if found is None:
        raise RequestRefused(f"nothing is on record of {account_id} yet; ask the broker with --fresh")
    return found
