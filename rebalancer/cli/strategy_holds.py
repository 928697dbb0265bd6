"""Strategies that are held: by a canary that trades first, or by the same refusal in several accounts."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from rebalancer.cli.naming import accounts_by_id
from rebalancer.cli.operator_identity import note, operator
from rebalancer.cli.output import Json, done, services, show
from rebalancer.cli.tables import named, short, table
from rebalancer.domain.strategy_holds import HoldState
from rebalancer.operations import strategy_holds as operations

Hold = Annotated[int, typer.Argument(metavar="HOLD", min=1, help="Its number: `rebalancer strategy-holds`.")]


def strategy_holds(as_json: Json = False) -> None:
    """List the strategies that are held, and what each waits for."""
    here = services()
    rows = operations.held(here)
    known = accounts_by_id(here)
    view = table("=hold", "=strategy", "by", "=account", "=event", ">waiting", "why")
    for row in rows:
        why = "it trades first" if row.state is HoldState.TRADING else "; ".join(row.reasons)
        facts = (named(row.account_id, known), short(row.event_id), str(len(row.waiting)), escape(why))
        view.add_row(str(row.id), escape(row.strategy), str(row.kind), *facts)
    show(as_json, rows, view, "No strategy is held.")


def release(hold: Hold, as_json: Json = False) -> None:
    """Let the accounts trade that wait for a held strategy."""
    here = services()
    note(here, "release", str(hold))
    freed = operations.release(here, hold, operator())
    done(as_json, f"released, {freed} held events are due", hold=hold, events=freed)


def withdraw(hold: Hold, as_json: Json = False) -> None:
    """Remove what waits for a held strategy; the next signal finds all its accounts as ever."""
    here = services()
    note(here, "withdraw", str(hold))
    removed = operations.withdraw(here, hold, operator())
    done(as_json, f"withdrawn, {removed} events ended", hold=hold, events=removed)
