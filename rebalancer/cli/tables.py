"""Tables for a terminal of 80 columns and for pipes: numbers on the right, and nothing that is acted on is ever cut."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from uuid import UUID

from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from rebalancer.config.accounts_file import Account

SHORT = 8
"""Digits of an event id that a table shows; every command takes them, or refuses them if two events begin so."""
BOUNDLESS = 100_000
NAME = 16
"""Columns that an account's name takes, on as many lines as it needs."""
FOLDED = 6


class WideConsole(Console):
    """As wide as the terminal; without one, or ``boundless``, as wide as its lines need."""

    boundless = False

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and rows."""
        narrow = self.is_terminal and not self.boundless
        return super().size if narrow else ConsoleDimensions(BOUNDLESS, 25)

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
    least = _least_width(view) if isinstance(view, Table) else 0
    console.boundless = least > console.width
    try:
        console.print(view, soft_wrap=isinstance(view, str), highlight=False)
    finally:
        console.boundless = False


def _least_width(view: Table) -> int:
    """Columns below which something that must not be broken would be, with a few for each text that may."""
    widths = [_longest_line(column) if column.no_wrap else FOLDED for column in view.columns]
    return sum(widths) + len(widths) - 1


def _longest_line(column: Column) -> int:
    texts = [column.header, *column.cells]
    return max(cell_len(line) for text in texts for line in Text.from_markup(str(text)).plain.split("\n"))


def short(event_id: UUID) -> str:
    """An event id for a table: its beginning at a terminal, all of it in a pipe."""
    return str(event_id)[:SHORT] if console.is_terminal else str(event_id)


def named(account_id: str, accounts: Mapping[str, Account]) -> str:
    """An account's id, and below it its name if it has one."""
    name = accounts[account_id].name if account_id in accounts else None
    if not name:
        return account_id
    lines = [account_id, *wrap(name, NAME)] if console.is_terminal else [f"{account_id} {name}"]
    return "\n".join(escape(line) for line in lines)
