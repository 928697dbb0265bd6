"""Halt, resume, approve, reject."""

from __future__ import annotations

import getpass
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from rebalancer import control
from rebalancer.services import Services
from rebalancer.settings import load_settings

console = Console()

Account = Annotated[str | None, typer.Argument(help="Account id; without one, all accounts.")]
Event = Annotated[UUID, typer.Argument(help="Event id, as `rebalancer approvals` shows it.")]


def halt(
    account: Account = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "halted on the command line",
) -> None:
    """Stop trading before the next order: of one account, or of all."""
    made = control.halt(Services.of(load_settings()), account, reason, operator())
    console.print("halted" if made else "was halted already")


def resume(account: Account = None) -> None:
    """Lift a halt; what it held runs at once."""
    freed = control.resume(Services.of(load_settings()), account, operator())
    console.print(f"resumed, {freed} held events are due")


def halts() -> None:
    """List the halts in force."""
    rows = control.halted(Services.of(load_settings()))
    table = Table("scope", "since", "by", "reason")
    for row in rows:
        table.add_row(row.scope, f"{row.since:%Y-%m-%d %H:%M:%S}", row.by, row.reason)
    console.print(table if rows else "Nothing is halted.")


def approvals() -> None:
    """Show the plans that wait for approval."""
    rows = control.waiting(Services.of(load_settings()))
    table = Table("asked", "account", "event", "why", "orders, USD", "goes ahead")
    for row in rows:
        table.add_row(
            f"{row.asked_at:%Y-%m-%d %H:%M:%S}",
            row.account_id,
            str(row.event_id),
            "\n".join(row.reasons),
            "\n".join(f"{symbol} {amount:+,.2f}" for symbol, amount in sorted(row.orders.items())),
            f"unless rejected by {row.silent_at:%H:%M} UTC" if row.silent_at else "only when approved",
        )
    console.print(table if rows else "No plan waits.")


def approve(event: Event) -> None:
    """Let a waiting plan be traded at once, unless it has moved too far since it was made."""
    control.approve(Services.of(load_settings()), event, operator())
    console.print("approved")


def reject(event: Event) -> None:
    """Refuse a waiting plan and end its event."""
    control.reject(Services.of(load_settings()), event, operator())
    console.print("rejected")


def operator() -> str:
    """Who types, for the record."""
    return f"{getpass.getuser()} on the command line"
