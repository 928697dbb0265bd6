"""Accounts and queue as they change, on a screen that may have fewer lines than they need."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from rebalancer.cli.accounts import STATE, shown, states
from rebalancer.cli.check_lines import check_line, headline_line
from rebalancer.cli.naming import accounts_by_id
from rebalancer.cli.output import services
from rebalancer.cli.tables import console, named, table
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.domain.trading_sessions import in_new_york
from rebalancer.health.headline import standing
from rebalancer.ledger import approvals
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.queries.event_search import EventView
from rebalancer.ledger.states import ACTIVE
from rebalancer.services import Services

ROWS = 1000
FURTHER, BACK = {" ", "\x1b[6~", "\x1b[B"}, {"b", "\x1b[5~", "\x1b[A"}
"""Keys: the long ones are what a terminal sends for those of pages and arrows."""


def watch(every_s: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between two looks.")] = 1.0) -> None:
    """Show whether all is well, accounts and queue as they change, until Ctrl-C; space and b turn the page."""
    here, top = services(), 0
    try:
        with _keys_at_once(), Live(console=console, auto_refresh=False) as live:
            while True:
                top, page = _page(_picture(here), top)
                live.update(page, refresh=True)
                key = _pressed(every_s)
                top += _rows() * ((key in FURTHER) - (key in BACK))
    except KeyboardInterrupt:
        raise typer.Exit from None


def _picture(services: Services) -> list[RenderableType]:
    try:
        with services.ledger.begin() as session:
            queue = event_search.find_events(session, ACTIVE, ROWS)
            ids = [account.account_id for account in services.accounts()]
            known = states(session, ids)
            stands = standing(services, session, approvals.count(session))
        by_id = accounts_by_id(services)
    except RecordUnavailable as error:
        return [
            _clock("[red]not ready[/]"),
            f"[red]the ledger cannot be reached:[/] {escape(str(error).splitlines()[0])}",
        ]
    accounts = table("=account", *STATE, title="Accounts")
    for account_id in ids:
        accounts.add_row(named(account_id, by_id), *shown(known[account_id]))
    broken = [check for check in stands.checks if not check.ok]
    told = [check_line(check) for check in (*broken, *stands.remarks)]
    stopped = [f"[red]halted:[/] {escape(f'{one.scope} by {one.by}: {one.reason}')}" for one in stands.halts]
    ready = "[red]not ready[/]" if broken else "[green]ready[/]"
    return [_clock(ready), headline_line(stands.headline), *told, *stopped, accounts, _queue(queue)]


def _clock(ready: str) -> Text:
    now = datetime.now(UTC)
    return Text.from_markup(f"{ready}, {in_new_york(now):%H:%M:%S} New York (local {now.astimezone():%H:%M:%S})")


def _queue(rows: list[EventView]) -> Table:
    view = table("=account", "=command", "=state", ">tries", "=due", "why", title="Queue")
    for row in rows:
        left_s = round((row.due_at - datetime.now(UTC)).total_seconds())
        due = f"in {left_s} s" if 0 < left_s < 86_400 else ""
        why = row.last_error if row.last_error and row.state == "retrying" else row.reason
        view.add_row(row.account_id, row.exec_command, row.state, str(row.times_queued), due, escape(why))
    return view


def _rows() -> int:
    """Of the screen, besides the first line and the last."""
    return max(1, console.height - 3)


def _page(picture: list[RenderableType], top: int) -> tuple[int, RenderableType]:
    """The part of the picture that begins with a line, or the last one; its first line is always there.

    Returns:
        The line that it begins with, too.
    """
    head, *rest = picture
    lines = console.render_lines(Group(*rest), console.options.update(height=None), pad=False, new_lines=True)
    top = max(0, min(top, len(lines) - _rows()))
    if not console.is_terminal or len(lines) <= _rows():
        return 0, Group(*picture)
    page = lines[top : top + _rows()]
    foot = Text(f"lines {top + 1} to {top + len(page)} of {len(lines)}: space goes on, b goes back", style="dim")
    return top, Group(head, Segments(segment for line in page for segment in line), foot)


@contextmanager
def _keys_at_once() -> Iterator[None]:
    """A key is read when it is pressed, where there is a keyboard; Ctrl-C remains what it is."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _pressed(wait_s: float) -> str:
    """The key that is pressed meanwhile, else nothing."""
    if not sys.stdin.isatty():
        time.sleep(wait_s)
        return ""
    ready, _, _ = select.select([sys.stdin], [], [], wait_s)
    return os.read(sys.stdin.fileno(), 8).decode(errors="replace") if ready else ""
