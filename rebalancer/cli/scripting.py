"""Output for scripts: JSON, and one line per change."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from rebalancer.ledger import changes, views
from rebalancer.ledger.views import EventView
from rebalancer.services import Services

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LOOK_S = 0.5
FOLLOWED = 200

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def print_json(rows: Iterable[DataclassInstance]) -> None:
    """A list of objects; times as ISO 8601, decimals as text."""
    typer.echo(json.dumps([asdict(row) for row in rows], indent=2, default=str))


def follow_events(services: Services, account_id: str | None, *, as_json: bool) -> NoReturn:
    """Print each change of an event from now on, until Ctrl-C."""
    seen: dict[Any, str] = {}
    mark = ""
    try:
        while True:
            with services.ledger.begin() as session:
                newest = changes.fingerprint(session)
                rows = views.recent_events(session, FOLLOWED, account_id) if newest != mark else []
            told = _changed(rows, seen)
            for row in told if mark else []:
                typer.echo(json.dumps(asdict(row), default=str) if as_json else _told(row))
            mark = newest
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _changed(rows: list[EventView], seen: dict[Any, str]) -> list[EventView]:
    changed = [row for row in rows[::-1] if seen.get(row.event_id) != _told(row)]
    seen.update({row.event_id: _told(row) for row in changed})
    return changed


def _told(row: EventView) -> str:
    why = row.last_error if row.state == "retrying" else row.reason
    return f"{row.account_id} {row.exec_command} {row.state} (queued {row.times_queued}x): {why} [{row.event_id}]"
