"""Tables for a terminal of 80 columns and for pipes: numbers on the right, and nothing that is acted on is ever cut."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from rebalancer.accounts import Account

SHORT = 8
"""Digits of an event id that a table shows; every command takes them, or refuses them if two events begin so."""
BOUNDLESS = 100_000


class WideConsole(Console):
    """As wide as the terminal; without one, as wide as its lines need."""

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and rows."""
        return super().size if self.is_terminal else ConsoleDimensions(BOUNDLESS, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size


console = WideConsole()


def table(*headings: str, title: str | None = None) -> Table:
    """An empty table.

    Args:
        headings: ``>name`` for numbers, which stand on the right and are never broken, ``=name`` for other text that
            is not, ``name`` for what may be folded.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 1), title=title, title_justify="left", header_style="bold")
    for heading in headings:
        made.add_column(
            heading.lstrip(">="),
            justify="right" if heading[0] == ">" else "left",
            no_wrap=heading[0] in ">=",
            overflow="fold",
        )
    return made


def put(view: RenderableType) -> None:
    """Print; where the terminal is too narrow for what must not be cut, it breaks the lines itself."""
    unbound = console.options.update(width=BOUNDLESS)
    least = Measurement.get(console, unbound, view).minimum if not isinstance(view, str) else 0
    if least > console.width:
        console.print(view, width=least, crop=False, soft_wrap=True)
    else:
        console.print(view, soft_wrap=isinstance(view, str), highlight=False)


def short(event_id: UUID) -> str:
    """An event id for a table: its beginning at a terminal, all of it in a pipe."""
    return str(event_id)[:SHORT] if console.is_terminal else str(event_id)


def named(account_id: str, accounts: Mapping[str, Account]) -> str:
    """An account's id, and below it its name if it has one."""
    name = accounts[account_id].name if account_id in accounts else None
    separator = "\n" if console.is_terminal else " "
    return f"{account_id}{separator}[dim]{escape(name)}[/]" if name else account_id
