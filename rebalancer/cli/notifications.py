"""Try out notifications, and see which were sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from rebalancer.cli.chosen_stack import on_a_stack
from rebalancer.cli.output import Json, Limit, print_json, services, show
from rebalancer.cli.tables import console, table
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.notices import Severity
from rebalancer.ledger import outbox
from rebalancer.ledger.outbox import Told
from rebalancer.notifier import preferences
from rebalancer.notify import sending
from rebalancer.notify.letters import Letter
from rebalancer.notify.style import Style
from rebalancer.notify.wording import describe
from rebalancer.services import Services

app = typer.Typer(no_args_is_help=True, help="Who is told what, and did it arrive?")

STYLES = {"sent": "green", "waiting": "yellow", "given up": "red"}


@app.command("test")
@on_a_stack
def try_out(as_json: Json = False) -> None:
    """Send a message to each target and say which took it; exit code 1 if any did not."""
    here = services()
    targets = here.settings.notifications.notify_targets
    if not targets:
        raise ConfigurationError(["NOTIFY_URLS is not set: add it to .env, for example phone=ntfys://a-secret-topic"])
    sent_at = f"{datetime.now(UTC).astimezone(here.settings.notifications.notify_time_zone):%Y-%m-%d %H:%M %Z}"
    letter = Letter("Rebalancer: test", f"This is a test, sent at {sent_at}. All is well.", Severity.INFO, good=True)
    errors: dict[str, str | None] = {}
    for target in targets:
        errors[target.name] = error = sending.send(target, letter)
        if not as_json:
            mark = f"[red]FAIL[/] {target.name}: {error}" if error else f"[green]ok[/]   {target.name}: was taken"
            console.print(mark, soft_wrap=True, highlight=False)
    if as_json:
        print_json({"targets": [{"name": name, "ok": not error, "error": error} for name, error in errors.items()]})
    raise typer.Exit(1 if any(errors.values()) else 0)


@app.command("list")
@on_a_stack
def list_told(limit: Limit = 20, as_json: Json = False) -> None:
    """What people were told, newest first, and whether it arrived."""
    here = services()
    with here.ledger.begin() as session:
        rows = outbox.recent(session, limit)
    show(as_json, rows, _table(here, rows), "Nothing has happened that anybody would be told of.")


def _table(here: Services, rows: list[Told]) -> Table:
    style = preferences.style(here)
    view = table("=at", "severity", "what", "to", "state", "why")
    for row in rows:
        for line in _lines(row, style):
            view.add_row(*line)
    return view


def _lines(row: Told, style: Style) -> list[tuple[Any, ...]]:
    notice = row.notice
    what = f"{style.discretion.name(notice.account_id)}: {describe(notice, style).text}"
    shown = (f"{notice.at:%m-%d %H:%M}", str(notice.severity), escape(what))
    if not row.tellings:
        return [(*shown, "nobody" if row.routed else "", "" if row.routed else "new", "")]
    return [
        (*shown, one.target, f"[{STYLES[one.state]}]{one.state}[/]", escape(one.last_error or ""))
        for one in row.tellings
    ]
