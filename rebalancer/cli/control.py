"""Halt, resume, approve, reject."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from rebalancer import control
from rebalancer.cli.operator import note, operator
from rebalancer.cli.scripting import Json, done, known_accounts, services, show
from rebalancer.ledger.halts import EVERYTHING

Account = Annotated[
    str | None, typer.Argument(help="Account id; without one, all accounts.", autocompletion=known_accounts)
]
Event = Annotated[UUID, typer.Argument(help="Event id, as `rebalancer approvals` shows it.")]


def halt(
    account: Account = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "halted on the command line",
    as_json: Json = False,
) -> None:
    """Stop trading before the next order: of one account, or of all."""
    here = services()
    note(here, "halt", account or EVERYTHING, reason=reason)
    made = control.halt(here, account, reason, operator())
    done(as_json, "halted" if made else "was halted already", scope=account or EVERYTHING, made=made)


def resume(account: Account = None, as_json: Json = False) -> None:
    """Lift a halt; what it held runs at once."""
    here = services()
    note(here, "resume", account or EVERYTHING)
    freed = control.resume(here, account, operator())
    done(as_json, f"resumed, {freed} held events are due", scope=account or EVERYTHING, events=freed)


def halts(as_json: Json = False) -> None:
    """List the halts in force."""
    rows = control.halted(services())
    table = Table("scope", "since", "by", "reason")
    for row in rows:
        table.add_row(row.scope, f"{row.since:%Y-%m-%d %H:%M:%S}", escape(row.by), escape(row.reason))
    show(as_json, rows, table, "Nothing is halted.")


def approvals(as_json: Json = False) -> None:
    """Show the plans that wait for approval."""
    rows = control.waiting(services())
    table = Table("asked", "account", "event", "why", "orders, USD", "goes ahead")
    for row in rows:
        table.add_row(
            f"{row.asked_at:%Y-%m-%d %H:%M:%S}",
            row.account_id,
            str(row.event_id),
            escape("\n".join(row.reasons)),
            "\n".join(f"{symbol} {amount:+,.2f}" for symbol, amount in sorted(row.orders.items())),
            f"unless rejected by {row.silent_at:%H:%M} UTC" if row.silent_at else "only when approved",
        )
    show(as_json, rows, table, "No plan waits.")


def approve(event: Event, as_json: Json = False) -> None:
    """Let a waiting plan be traded at once, unless it has moved too far since it was made."""
    here = services()
    note(here, "approve", str(event))
    control.approve(here, event, operator())
    done(as_json, "approved", event_id=event)


def reject(event: Event, as_json: Json = False) -> None:
    """Refuse a waiting plan and end its event."""
    here = services()
    note(here, "reject", str(event))
    control.reject(here, event, operator())
    done(as_json, "rejected", event_id=event)
