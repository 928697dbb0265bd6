"""Halt, resume, approve, reject."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rebalancer.cli.naming import PlanArgument, accounts_by_id, read_waiting
from rebalancer.cli.operator_identity import note, operator
from rebalancer.cli.output import Json, done, known_accounts, services, show
from rebalancer.cli.results import usd
from rebalancer.cli.tables import named, put, short, table
from rebalancer.config import accounts_file as configured
from rebalancer.domain.approvals import Approval
from rebalancer.domain.money import ZERO
from rebalancer.ledger.halts import EVERYTHING
from rebalancer.operations import halts_and_approvals

Account = Annotated[
    str | None, typer.Argument(help="Account id; without one, all accounts.", autocompletion=known_accounts)
]
IN_FULL = 3


def halt(
    account: Account = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "halted on the command line",
    as_json: Json = False,
) -> None:
    """Stop trading before the next order: of one account, or of all."""
    here = services()
    note(here, "halt", account or EVERYTHING, reason=reason)
    made = halts_and_approvals.halt(here, account, reason, operator())
    done(as_json, "halted" if made else "was halted already", scope=account or EVERYTHING, made=made)


def resume(account: Account = None, as_json: Json = False) -> None:
    """Lift a halt; what it held runs at once."""
    here = services()
    note(here, "resume", account or EVERYTHING)
    freed = halts_and_approvals.resume(here, account, operator())
    done(as_json, f"resumed, {freed} held events are due", scope=account or EVERYTHING, events=freed)


def halts(as_json: Json = False) -> None:
    """List the halts in force."""
    rows = halts_and_approvals.halted(services())
    view = table("=scope", "=since", "by", "reason")
    for row in rows:
        view.add_row(row.scope, f"{row.since:%Y-%m-%d %H:%M}", escape(row.by), escape(row.reason))
    show(as_json, rows, view, "Nothing is halted.")


def approvals(account: Account = None, as_json: Json = False) -> None:
    """Show the plans that wait for approval; of one account, or of few, order by order."""
    here = services()
    rows = [row for row in halts_and_approvals.waiting(here) if account in (None, row.account_id)]
    if as_json or not rows:
        show(as_json, rows, "", "No plan waits.")
        return
    known = accounts_by_id(here)
    put(_plans(rows, known))
    if len(rows) > IN_FULL:
        put("[dim]Its orders: rebalancer approvals ACCOUNT. To let them be sent: approve ACCOUNT.[/]")
        return
    for row in rows:
        put("")
        put(f"[bold]{row.account_id}[/]: {escape('; '.join(row.reasons))}")
        put(_orders(row))
        put(f"[dim]rebalancer approve {row.account_id}, or rebalancer reject {row.account_id}[/]")


def _plans(rows: list[Approval], known: Mapping[str, configured.Account]) -> Table:
    view = table("=account", "=event", ">orders", ">sells, USD", ">buys, USD", "goes ahead")
    for row in rows:
        sold, bought = _totals(row)
        ahead = f"unless rejected by {row.silent_at:%H:%M} UTC" if row.silent_at else "only when approved"
        facts = (short(row.event_id), str(len(row.orders)), usd(sold), usd(bought))
        view.add_row(named(row.account_id, known), *facts, ahead)
    return view


def _totals(row: Approval) -> tuple[Decimal, Decimal]:
    """USD sold and bought, both positive."""
    amounts = row.orders.values()
    return -sum((one for one in amounts if one < 0), ZERO), sum((one for one in amounts if one > 0), ZERO)


def _orders(row: Approval) -> Table:
    view = table("=order", "=symbol", ">USD")
    for symbol, amount in sorted(row.orders.items(), key=lambda order: (order[1] > 0, order[0])):
        view.add_row("SELL" if amount < 0 else "BUY", symbol, usd(abs(amount)))
    sold, bought = _totals(row)
    view.add_row("[bold]total[/]", "", f"[bold]{usd(sold + bought)}[/]")
    return view


def approve(plan: PlanArgument, as_json: Json = False) -> None:
    """Let a waiting plan be traded at once, unless it has moved too far since it was made."""
    here = services()
    event = read_waiting(here, plan)
    note(here, "approve", str(event))
    halts_and_approvals.approve(here, event, operator())
    done(as_json, "approved", event_id=event)


def reject(plan: PlanArgument, as_json: Json = False) -> None:
    """Refuse a waiting plan; its event ends, or is planned anew if it was asked for more since."""
    here = services()
    event = read_waiting(here, plan)
    note(here, "reject", str(event))
    state = halts_and_approvals.reject(here, event, operator())
    done(as_json, "rejected", event_id=event, state=state)
