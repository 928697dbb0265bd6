"""What is on record: signals, channels, changes."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from rebalancer.cli.output import Json, Limit, services, show
from rebalancer.cli.tables import short, table
from rebalancer.domain.actors import who
from rebalancer.ledger import audit_log
from rebalancer.ledger.queries import signals as ledger
from rebalancer.ledger.queries.gaps import find_gaps
from rebalancer.ledger.states import SignalState


def signals(
    state: Annotated[SignalState | None, typer.Option(help="quarantined: kept, but nobody could act on it.")] = None,
    channel: Annotated[str | None, typer.Option(help="Strategy, or api, cli, schedule.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List every signal that arrived, newest first, and what became of it."""
    with services().ledger.begin() as session:
        rows = ledger.find_signals(session, limit, state=state, channel=channel)
    view = table("=received", "from", "taken for", "became of it", "=events")
    for row in rows:
        remark = f": {escape(row.remark)}" if row.remark else ""
        view.add_row(
            f"{row.received_at:%m-%d %H:%M:%S}",
            row.channel,
            row.command or "nothing",
            f"{row.state}{remark}",
            "\n".join(f"{short(one.event_id)} {one.account_id} {one.state}" for one in row.events),
        )
    show(as_json, rows, view, "No signal.")


def channels(as_json: Json = False) -> None:
    """Show how each strategy's channel is heard."""
    with services().ledger.begin() as session:
        rows = ledger.channels(session)
    view = table("channel", "=heard until, UTC", "trouble")
    for row in rows:
        view.add_row(row.channel, f"{row.heard_until:%Y-%m-%d %H:%M:%S}", escape(row.trouble or ""))
    show(as_json, rows, view, "No channel was ever listened to: start the listener.")


def gaps(limit: Limit = 20, as_json: Json = False) -> None:
    """List when signals of a channel may have been missed, newest first, and what was done about it."""
    with services().ledger.begin() as session:
        rows = find_gaps(session, limit)
    view = table("channel", "=from, UTC", "=until, UTC", ">read again", "what was done", "=events")
    for row in rows:
        view.add_row(
            row.channel,
            f"{row.since:%Y-%m-%d %H:%M:%S}",
            f"{row.until:%Y-%m-%d %H:%M:%S}",
            str(row.fetched),
            escape(row.remark or "nothing yet"),
            "\n".join(f"{short(one.event_id)} {one.account_id} {one.state}" for one in row.events),
        )
    show(as_json, rows, view, "No gap is on record.")


def audit(limit: Limit = 20, as_json: Json = False) -> None:
    """List who asked for which change, newest first."""
    with services().ledger.begin() as session:
        rows = audit_log.recent(session, limit)
    view = table("=at", "by", "from", "=did", "to", "detail")
    for row in rows:
        detail = ", ".join(f"{name}: {value}" for name, value in row.detail.items())
        actor = escape(who(row.actor))
        view.add_row(f"{row.at:%m-%d %H:%M:%S}", actor, row.address, row.action, escape(row.subject), escape(detail))
    show(as_json, rows, view, "Nobody has asked for a change.")
