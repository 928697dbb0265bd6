"""Output for people and for scripts, by the same commands."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import RenderableType

from rebalancer.cli.tables import console, put
from rebalancer.config.configuration import resolve_all
from rebalancer.config.log_settings import LogSettings
from rebalancer.config.running_stack import announce
from rebalancer.config.settings import load_settings
from rebalancer.domain.errors import ConfigurationError, NothingRuns
from rebalancer.domain.trading_sessions import in_new_york
from rebalancer.ledger.queries import change_marker, event_search
from rebalancer.ledger.queries.event_search import EventView
from rebalancer.logs.setup import configure_logging
from rebalancer.services import Services

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LOOK_S = 0.5
FOLLOWED = 200

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most, the newest first.")]


def known_accounts() -> list[str]:
    """For the shell, which completes account ids with them; none while the configuration is wrong."""
    try:
        return [account.account_id for account in Services.of(load_settings()).accounts()]
    except (ConfigurationError, NothingRuns):
        return []


AccountArgument = Annotated[str, typer.Argument(help="Account id, as in accounts.yaml.", autocompletion=known_accounts)]


def services() -> Services:
    """What every command works with; says whose ledger that is.

    Raises:
        ConfigurationError: the settings are wrong.
        NothingRuns: the stack that was chosen is not up.
    """
    settings, origin = resolve_all()
    announce(origin)
    speak_plainly(settings.secret_values())
    return Services.of(settings)


def speak_plainly(secrets: Iterable[str] = ()) -> None:
    """Log for the person who typed: what went wrong, on standard error. Standard output is the command's own."""
    configure_logging(LogSettings(log_format="console", log_level="WARNING"), secrets)
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)  # its failures reach the person as our own errors


def print_json(content: Iterable[DataclassInstance] | DataclassInstance | dict[str, Any]) -> None:
    """An object, or a list of objects; times as ISO 8601, decimals as text."""
    typer.echo(json.dumps(_plain(content), indent=2, default=str))


def show(as_json: bool, rows: list[Any], view: RenderableType, nothing: str) -> None:
    """A list: as JSON, as a table, or in words when it is empty."""
    if as_json:
        print_json(rows)
    else:
        put(view if rows else nothing)


def done(as_json: bool, message: str, **facts: Any) -> None:
    """What became of a change, in one sentence; as JSON with the facts by name."""
    if as_json:
        print_json({"message": message, **facts})
    else:
        console.print(message, highlight=False, soft_wrap=True)


def follow_events(services: Services, account_id: str | None, *, as_json: bool) -> NoReturn:
    """Print each change of an event from now on, until Ctrl-C."""
    seen: dict[Any, str] = {}
    mark = ""
    try:
        while True:
            with services.ledger.begin() as session:
                newest = change_marker.fingerprint(session)
                rows = event_search.recent_events(session, FOLLOWED, account_id) if newest != mark else []
            told = _changed(rows, seen)
            if not mark:
                typer.echo("Following; Ctrl-C ends it.", err=True)
            now = datetime.now(UTC)
            for row in told if mark else []:
                line = json.dumps({"seen_at": now, **asdict(row)}, default=str) if as_json else _seen(now, row)
                typer.echo(line)
            mark = newest
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _plain(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if is_dataclass(content) and not isinstance(content, type):
        return asdict(content)
    return [_plain(one) for one in content] if isinstance(content, list | tuple) else content


def _changed(rows: list[EventView], seen: dict[Any, str]) -> list[EventView]:
    changed = [row for row in rows[::-1] if seen.get(row.event_id) != _told(row)]
    seen.update({row.event_id: _told(row) for row in changed})
    return changed


def _seen(now: datetime, row: EventView) -> str:
    return f"{in_new_york(now):%H:%M:%S} New York  {_told(row)}"


def _told(row: EventView) -> str:
    why = row.last_error if row.state == "retrying" else row.reason
    return f"{row.account_id} {row.exec_command} {row.state} (queued {row.times_queued}x): {why} [{row.event_id}]"
